#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace llmrun {
namespace {

ModelConfig ConfigOf(int64_t n_kv_heads) {
  ModelConfig config;
  config.n_layers = 3;
  config.n_kv_heads = n_kv_heads;
  config.head_dim = 32;
  return config;
}

// Every (layer, keys or values, head, position) has a place of its own, positions side by side.
void CheckPlaces(const KvCache& cache, int64_t n_kv_heads, int64_t n_ctx) {
  std::set<const std::byte*> seen;
  for (int64_t layer = 0; layer < 3; ++layer) {
    for (int64_t head = 0; head < n_kv_heads; ++head) {
      for (int64_t position = 0; position < n_ctx; ++position) {
        const std::byte* keys = cache.Keys(layer, head, position);
        EXPECT_EQ(keys, cache.Keys(layer, head, 0) + position * 64);
        EXPECT_TRUE(seen.insert(keys).second);
        EXPECT_TRUE(seen.insert(cache.Values(layer, head, position)).second);
      }
    }
  }
  for (auto it = seen.begin(); std::next(it) != seen.end(); ++it)
    EXPECT_GE(*std::next(it) - *it, 64);
}

TEST(KvCache, OneHomeHasAllHeads) {
  const std::vector<NodeSet> homes = {{}};
  const KvCache cache = KvCache::Create(ConfigOf(5), 7, DType::kF16, homes).value();
  CheckPlaces(cache, 5, 7);
  ASSERT_EQ(cache.HeadsByNode().size(), 1U);
  EXPECT_EQ(cache.HeadsByNode()[0].heads, (Range{0, 5}));
  EXPECT_FALSE(cache.HeadsByNode()[0].node);
  EXPECT_EQ(cache.stride_bytes(), 64U);
  EXPECT_GE(cache.size_bytes(), 2U * 3 * 5 * 7 * 64);
}

// Only the first node need be there: of a machine with one, both homes are on it.
TEST(KvCache, HeadsAreDealtOutToSeveralHomes) {
  const std::vector<NodeSet> homes = {{0}, {}, {}};
  const KvCache cache = KvCache::Create(ConfigOf(8), 7, DType::kF16, homes).value();
  CheckPlaces(cache, 8, 7);
  const auto heads = cache.HeadsByNode();
  ASSERT_EQ(heads.size(), 3U);
  EXPECT_EQ(heads[0].heads, (Range{0, 2}));
  EXPECT_EQ(heads[0].node, 0U);
  EXPECT_EQ(heads[1].heads, (Range{2, 5}));
  EXPECT_FALSE(heads[1].node);
  EXPECT_GE(cache.size_bytes(), 2U * 3 * 8 * 7 * 64);
}

}  // namespace
}  // namespace llmrun
