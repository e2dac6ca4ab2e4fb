#include "model/kv_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace llmrun {
namespace {

ModelConfig ConfigOf(int64_t n_kv_heads) {
  ModelConfig config;
  config.n_layers = 3;
  config.n_kv_heads = n_kv_heads;
  config.head_dim = 32;
  config.value_dim = 32;
  return config;
}

// Keys and values of each (layer, head) have a place of their own, of whole groups of positions.
void CheckPlaces(const KvCache& cache, int64_t n_kv_heads, int64_t n_ctx) {
  const auto positions = static_cast<uint64_t>((n_ctx + kKvGroup - 1) / kKvGroup * kKvGroup);
  std::map<const std::byte*, uint64_t> places;
  for (int64_t layer = 0; layer < 3; ++layer) {
    for (int64_t head = 0; head < n_kv_heads; ++head) {
      places[cache.Keys(layer, head)] = positions * KvRowBytes(cache.types().keys, 32);
      places[cache.Values(layer, head)] = positions * KvRowBytes(cache.types().values, 32);
    }
  }
  ASSERT_EQ(places.size(), static_cast<size_t>(2 * 3 * n_kv_heads));
  for (auto it = places.begin(); std::next(it) != places.end(); ++it) {
    EXPECT_GE(static_cast<uint64_t>(std::next(it)->first - it->first), it->second);
  }
}

TEST(KvCache, OneHomeHasAllHeads) {
  const std::vector<NodeSet> homes = {{}};
  const KvCache cache = KvCache::Create(ConfigOf(5), 7, {}, homes).value();
  CheckPlaces(cache, 5, 7);
  ASSERT_EQ(cache.HeadsByNode().size(), 1U);
  EXPECT_EQ(cache.HeadsByNode()[0].heads, (Range{0, 5}));
  EXPECT_FALSE(cache.HeadsByNode()[0].node);
  EXPECT_GE(cache.size_bytes(), 2U * 3 * 5 * 16 * 64);
}

TEST(KvCache, KeysAndValuesHaveLengthsOfTheirOwn) {
  ModelConfig config = ConfigOf(4);
  config.head_dim = 48;
  const std::vector<NodeSet> homes = {{}};
  const KvCache cache = KvCache::Create(config, 16, {}, homes).value();
  EXPECT_EQ(cache.Values(0, 0) - cache.Keys(0, 0), 4 * 16 * 48 * 2);
  EXPECT_EQ(cache.Keys(1, 0) - cache.Values(0, 0), 4 * 16 * 32 * 2);
}

TEST(KvCache, KeysAndValuesHaveTypesOfTheirOwn) {
  const std::vector<NodeSet> homes = {{}};
  for (const DType keys : {DType::kF32, DType::kBF16, DType::kQ8_0}) {
    for (const DType values : {DType::kF16, DType::kQ4_0}) {
      const KvCache cache = KvCache::Create(ConfigOf(3), 40, {keys, values}, homes).value();
      CheckPlaces(cache, 3, 40);
      const uint64_t row_bytes = KvRowBytes(keys, 32) + KvRowBytes(values, 32);
      EXPECT_GE(cache.size_bytes(), 3U * 3 * 48 * row_bytes);
    }
  }
  EXPECT_EQ(KvRowBytes(DType::kQ8_0, 64), 68U);
  EXPECT_EQ(KvRowBytes(DType::kQ4_0, 64), 36U);
  EXPECT_EQ(KvRowBytes(DType::kBF16, 64), 128U);
  EXPECT_EQ(KvRowBytes(DType::kF16, 36), 96U);  // padded to 48 elements
}

// Only the first node need be there: of a machine with one, both homes are on it.
TEST(KvCache, HeadsAreDealtOutToSeveralHomes) {
  const std::vector<NodeSet> homes = {{0}, {}, {}};
  const KvCache cache = KvCache::Create(ConfigOf(8), 7, {}, homes).value();
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
