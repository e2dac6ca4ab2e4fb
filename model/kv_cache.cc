#include "model/kv_cache.h"

#include "base/check.h"
#include "model/work_memory.h"

namespace llmrun {

Result<KvCache> KvCache::Create(const ModelConfig& config, int64_t n_ctx, DType type) {
  CHECK(type == DType::kF16 || type == DType::kF32);
  CHECK(n_ctx >= 1 && static_cast<uint64_t>(n_ctx) <= kMaxContext);
  const uint64_t stride_bytes = RowBytes(type, static_cast<uint64_t>(config.head_dim));
  // At most 2^62 by the limits of ModelConfig.
  const uint64_t bytes = 2 * static_cast<uint64_t>(config.n_layers) *
                         static_cast<uint64_t>(config.n_kv_heads) * static_cast<uint64_t>(n_ctx) *
                         stride_bytes;
  ASSIGN_OR_RETURN(
      Arena arena,
      ReserveWorkMemory(bytes, fmt::format("KV cache of {} {} positions", n_ctx, NameOf(type)),
                        "a smaller context (-c)"));
  return KvCache(std::move(arena), type, config.n_kv_heads, n_ctx, stride_bytes);
}

}  // namespace llmrun
