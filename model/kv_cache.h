// Keys and values of all positions so far: [layer][keys, values][kv_head][position][head_dim], so
// that one head reads its positions as one stream.
//
// Owner: the cache owns its memory (memory/arena.h, transparent huge pages asked for).
// Threads: Thread-compatible; distinct elements may be written by distinct threads.
// Failure: Create() gives kResource with the size and the fix when memory is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "memory/arena.h"
#include "memory/dtype.h"
#include "model/model_config.h"

namespace llmrun {

class KvCache {
 public:
  // Requires: type is kF16 or kF32, 1 <= n_ctx <= kMaxContext.
  static Result<KvCache> Create(const ModelConfig& config, int64_t n_ctx, DType type);

  std::byte* Keys(int64_t layer, int64_t kv_head, int64_t position) const {
    return At(2 * layer, kv_head, position);
  }
  std::byte* Values(int64_t layer, int64_t kv_head, int64_t position) const {
    return At(2 * layer + 1, kv_head, position);
  }
  DType type() const { return type_; }
  uint64_t stride_bytes() const { return stride_bytes_; }  // from one position to the next
  uint64_t size_bytes() const { return arena_.size_bytes(); }

 private:
  KvCache(Arena arena, DType type, int64_t n_kv_heads, int64_t n_ctx, uint64_t stride_bytes)
      : arena_(std::move(arena)),
        type_(type),
        n_kv_heads_(n_kv_heads),
        n_ctx_(n_ctx),
        stride_bytes_(stride_bytes) {}
  std::byte* At(int64_t plane, int64_t kv_head, int64_t position) const {
    const int64_t row = (plane * n_kv_heads_ + kv_head) * n_ctx_ + position;
    return arena_.data() + static_cast<uint64_t>(row) * stride_bytes_;
  }

  Arena arena_;
  DType type_;
  int64_t n_kv_heads_;
  int64_t n_ctx_;
  uint64_t stride_bytes_;
};

}  // namespace llmrun
