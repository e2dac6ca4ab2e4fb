// One conversation with a model: a KV cache and the forward pass over new tokens.
//
// The forward pass runs as one region of the thread pool, in steps; every
// output element is computed by one thread in a fixed order, so logits do not depend on the number
// of threads, nor on how a prompt is cut into batches.
//
// Weights may still be arriving: each layer waits for its own group only, so a prompt starts on
// layer 0 while later layers are being read.
//
// Threads: Single-thread. Must outlive it: weights, pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/trace.h"
#include "compute/kernels.h"
#include "loader/weights.h"
#include "memory/dtype.h"
#include "model/kernel_tuning.h"
#include "model/kv_cache.h"
#include "model/model_config.h"
#include "sched/thread_pool.h"
#include "text/token_id.h"

namespace llmrun {

class ImportanceCollector;

// Context of a session that was not told one: that of the model, but no more than this.
inline constexpr int64_t kDefaultContext = 4096;

struct SessionOptions {
  int64_t n_ctx = 0;                           // positions of the KV cache; 0: see kDefaultContext
  int64_t n_batch = 512;                       // most tokens computed together
  DType kv_type = DType::kF16;                 // of the KV cache: see IsKvType()
  std::optional<DType> v_type = std::nullopt;  // of the values, where not kv_type
  IsaLevel isa = IsaLevel::kPortable;
  KernelTuning kernels = {};  // measures, if asked to, before the first single token
  // Asked between layers of several tokens, between single tokens; true ends Forward() with kUsage
  // "interrupted". May be empty.
  std::function<bool()> interrupted = {};
  // Called before each batch with the number of its tokens: may change the pool's team.
  std::function<void(int64_t)> before_batch = {};
  // Called after each batch that was computed, with the number of its tokens and what its forward
  // pass took. May be empty.
  std::function<void(int64_t n_tokens, double seconds)> after_batch = {};
  TraceLog* trace = nullptr;                  // borrowed: the layers of each pass
  ImportanceCollector* importance = nullptr;  // borrowed: what matrices are multiplied with
};

enum class LogitsOf : uint8_t { kLast, kAll };

class Session {
 public:
  // Reads no weights. Failure: kUsage for options out of range; kResource with numbers when the KV
  // cache and the work memory do not fit; errors of binding (BindLlama).
  static Result<std::unique_ptr<Session>> Create(const ModelConfig& config, const Weights& weights,
                                                 ThreadPool& pool, const SessionOptions& options);
  ~Session();

  // Appends tokens at the present position. Returns logits: [n_vocab] of the last token, or
  // [tokens.size()][n_vocab]. The span is valid until the next call.
  // kUsage when there are no tokens, when they do not fit into the context, when an id is outside
  // the vocabulary, or when interrupted; errors of the load. On failure the position is as before.
  Result<std::span<const float>> Forward(std::span<const TokenId> tokens, LogitsOf which);

  int64_t position() const;                 // tokens in the cache
  std::span<const TokenId> tokens() const;  // which ones; valid until the next call
  int64_t n_ctx() const;
  int64_t n_vocab() const;
  // Forgets everything from `position` on. Requires: 0 <= position <= position().
  void Truncate(int64_t position);
  // Forgets what differs from the beginning of `prompt`, and leaves at least its last token to be
  // computed, whose logits are wanted. Returns how many of its tokens are in the cache.
  int64_t KeepPrefix(std::span<const TokenId> prompt);

  // For session files: where the keys and values of the first `positions` positions lie, in the
  // order of layers and heads (whole groups of kKvGroup positions), and taking what was put there
  // for the cache of these tokens. Requires: positions, tokens <= n_ctx(); tokens of the
  // vocabulary.
  std::vector<std::span<std::byte>> KvRuns(int64_t positions);
  void Adopt(std::vector<TokenId> tokens);
  KvTypes kv_types() const;
  const ModelConfig& config() const;
  const Weights& weights() const;
  bool interrupted() const;  // whether that is why the last Forward() failed
  const KernelTuned& tuned() const;
  uint64_t kv_bytes() const;
  uint64_t scratch_bytes() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace llmrun
