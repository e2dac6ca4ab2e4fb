// One conversation with a model: a KV cache and the forward pass over new tokens.
//
// The forward pass runs as one region of the thread pool with barriers between its steps; every
// output element is computed by one thread in a fixed order, so logits do not depend on the number
// of threads, nor on how a prompt is cut into batches.
//
// Weights may still be arriving: each layer waits for its own group only, so a prompt starts on layer
// 0 while later layers are being read.
//
// Threads: Single-thread. Must outlive it: weights, pool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"
#include "loader/weights.h"
#include "model/model_config.h"
#include "sched/thread_pool.h"
#include "text/tokenizer.h"

namespace llmrun {

struct SessionOptions {
  int64_t n_ctx = 0;      // positions of the KV cache; 0: the model's own, at most 4096
  int64_t n_batch = 512;  // most tokens computed together
  DType kv_type = DType::kF16;  // kF16 or kF32
  IsaLevel isa = IsaLevel::kPortable;
  // Asked between layers and batches; true ends Forward() with kUsage "interrupted". May be empty.
  std::function<bool()> interrupted;
};

enum class LogitsOf : uint8_t { kLast, kAll };

class Session {
 public:
  // kResource with numbers when the KV cache and scratch do not fit; errors of binding (missing
  // tensors, wrong shapes or types: kBadData naming tensor, expected and found).
  static Result<std::unique_ptr<Session>> Create(const ModelConfig& config, const Weights& weights,
                                                 ThreadPool& pool, const SessionOptions& options);
  ~Session();

  // Appends tokens at the present position. Returns logits: [n_vocab] of the last token, or
  // [tokens.size()][n_vocab]. The span is valid until the next call.
  // kUsage when the tokens do not fit into the context, or an id is outside the vocabulary.
  Result<std::span<const float>> Forward(std::span<const TokenId> tokens, LogitsOf which);

  int64_t position() const;  // tokens in the cache
  int64_t n_ctx() const;
  void Truncate(int64_t position);  // forgets everything from there on
  uint64_t kv_bytes() const;
  uint64_t scratch_bytes() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun
