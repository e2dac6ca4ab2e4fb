#include "model/kv_cache.h"

#include <fmt/format.h>

#include <string>

#include "base/check.h"
#include "base/checked.h"
#include "model/work_memory.h"

namespace llmrun {
namespace {

constexpr uint64_t kHeadAlignment = 128;  // no two heads share a pair of cache lines

std::string NameOfBoth(KvTypes types) {
  if (types.keys == types.values) return std::string(NameOf(types.keys));
  return fmt::format("{} and {}", NameOf(types.keys), NameOf(types.values));
}

// Of one head in one layer: whole groups of positions.
uint64_t BytesOfHead(DType type, int64_t n_ctx, int64_t head_dim) {
  return AlignUp(AlignUp(static_cast<uint64_t>(n_ctx), kKvGroup) * KvRowBytes(type, head_dim),
                 kHeadAlignment);
}

}  // namespace

KvCache::KvCache(KvTypes types, int64_t n_ctx, const ModelConfig& config)
    : types_(types),
      keys_bytes_(BytesOfHead(types.keys, n_ctx, config.head_dim)),
      values_bytes_(BytesOfHead(types.values, n_ctx, config.value_dim)) {}

Result<KvCache> KvCache::Create(const ModelConfig& config, int64_t n_ctx, KvTypes types,
                                std::span<const NodeSet> homes) {
  const auto fits = [](DType type, int64_t dim) {
    return IsKvType(type) && dim % TraitsOf(type).block_elems == 0;
  };
  CHECK(fits(types.keys, config.head_dim) && fits(types.values, config.value_dim));
  CHECK(n_ctx >= 1 && static_cast<uint64_t>(n_ctx) <= kMaxContext);
  CHECK(!homes.empty() && static_cast<int64_t>(homes.size()) <= config.n_kv_heads);
  KvCache cache(types, n_ctx, config);
  // At most 2^62 by the limits of ModelConfig.
  const uint64_t head_bytes =
      static_cast<uint64_t>(config.n_layers) * (cache.keys_bytes_ + cache.values_bytes_);
  for (size_t i = 0; i < homes.size(); ++i) {
    const Range heads =
        StaticRange(config.n_kv_heads, static_cast<int>(homes.size()), static_cast<int>(i));
    ASSIGN_OR_RETURN(
        Arena arena,
        ReserveWorkMemory(head_bytes * static_cast<uint64_t>(heads.size()),
                          fmt::format("KV cache of {} {} positions", n_ctx, NameOfBoth(types)),
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
