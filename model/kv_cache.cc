#include "model/kv_cache.h"

#include "base/check.h"
#include "model/work_memory.h"

namespace llmrun {

Result<KvCache> KvCache::Create(const ModelConfig& config, int64_t n_ctx, DType type,
                                std::span<const NodeSet> homes) {
  CHECK(type == DType::kF16 || type == DType::kF32);
  CHECK(n_ctx >= 1 && static_cast<uint64_t>(n_ctx) <= kMaxContext);
  CHECK(!homes.empty() && static_cast<int64_t>(homes.size()) <= config.n_kv_heads);
  KvCache cache(type, n_ctx, RowBytes(type, static_cast<uint64_t>(config.head_dim)));
  // At most 2^62 by the limits of ModelConfig.
  const uint64_t head_bytes = 2 * static_cast<uint64_t>(config.n_layers) *
                              static_cast<uint64_t>(n_ctx) * cache.stride_bytes_;
  for (size_t i = 0; i < homes.size(); ++i) {
    const Range heads =
        StaticRange(config.n_kv_heads, static_cast<int>(homes.size()), static_cast<int>(i));
    ASSIGN_OR_RETURN(
        Arena arena,
        ReserveWorkMemory(head_bytes * static_cast<uint64_t>(heads.size()),
                          fmt::format("KV cache of {} {} positions", n_ctx, NameOf(type)),
                          "a smaller context (-c)", homes[i]));
    for (int64_t head = heads.begin; head < heads.end; ++head) {
      cache.places_.push_back({arena.data(), heads.size(), head - heads.begin});
    }
    cache.homes_.push_back({homes[i], heads, std::move(arena)});
  }
  return cache;
}

std::vector<KvCache::HeadsOfNode> KvCache::HeadsByNode() const {
  std::vector<HeadsOfNode> heads;
  for (const Home& home : homes_) {
    heads.push_back(
        {.heads = home.heads, .node = homes_.size() > 1 ? OnlyNode(home.nodes) : std::nullopt});
  }
  return heads;
}

uint64_t KvCache::size_bytes() const {
  uint64_t bytes = 0;
  for (const Home& home : homes_) bytes += home.arena.size_bytes();
  return bytes;
}

}  // namespace llmrun
