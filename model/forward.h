// The forward pass of a llama model, or one near it (model/architecture.h), over one batch of
// tokens: embeddings, then for each layer attention and feed-forward, then the logits.
//
// Of a sharded matrix each member multiplies with rows of its own NUMA node first; experts, which
// lie on a node as a whole, are worked on in the order of the nodes (model/forward_experts.cc).
//
// One region of the thread pool, in steps (sched/work_steps.h): each deals out its rows, or its
// tokens, or parts of its heads to the members, who help each other at its end. Each element
// is computed by one member in an order that does not depend on who it is, so the bits of the
// result do not either.
//
// Source of the architecture: Touvron et al. 2023 (LLaMA); Zhang & Sennrich 2019 (RMSNorm); Shazeer
// 2020 (SwiGLU); Ainslie et al. 2023 (GQA); of the others, where they are described.
// Threads: Single-thread.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/trace.h"
#include "compute/kernels.h"
#include "loader/weights.h"
#include "model/forward_plans.h"
#include "model/kv_cache.h"
#include "model/llama_weights.h"
#include "model/model_config.h"
#include "model/rope.h"
#include "model/row_strips.h"
#include "model/scratch.h"
#include "sched/thread_pool.h"
#include "text/token_id.h"

namespace llmrun {

class ImportanceCollector;

// What the pass works with. All must outlive it.
struct ForwardParts {
  const ModelConfig& config;
  const LlamaWeights& llama;
  const Weights& weights;  // group 0 has arrived
  const Kernels& kernels;
  ThreadPool& pool;
  const ModelStrips& strips;  // of llama
  const ForwardPlans& plans;  // of strips, for the pool's team
  const KvCache& kv;
  const LayerRopes& rope;                    // grown to the end of the batch
  const ScratchArrays& scratch;              // `embd` holds the batch's rows
  const std::function<bool()>& interrupted;  // asked by one member; may be empty
  TraceLog* trace;                           // may be null
  ImportanceCollector* importance;           // may be null: told what matrices are multiplied with
};

struct ForwardBatch {
  std::span<const TokenId> tokens;  // 1..n_batch of them, each in [0, n_vocab)
  int64_t position = 0;             // of tokens[0]; position + tokens.size() <= n_ctx
  int64_t n_logits = 0;             // of the last that many tokens
  float* logits = nullptr;          // [n_logits][n_vocab]
};

// Whether no pass will wait for weights any more.
bool AllArrived(const Weights& weights, const ModelConfig& config);

// Failure: that of the load when weights do not arrive; kUsage "interrupted". The cache holds
// nothing new then that counts.
Status RunForward(const ForwardParts& parts, const ForwardBatch& batch);

}  // namespace llmrun
