// Headers of the largest accepted size: found duplicates, no quadratic work (a scan for duplicates
// would take hours here), and everything in place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/index/tensor_index.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kKeys = 1'000'000;
constexpr uint64_t kTensors = 100'000;

GgufBytes ManyKeys(std::string_view last_key) {
  GgufBytes b;
  b.Header(0, kKeys);
  for (uint32_t i = 0; i + 1 < kKeys; ++i) {
    b.Key(fmt::format("some.key.{}", i), MetaType::kUint32).Value(i);
  }
  b.Key(last_key, MetaType::kUint32).Value(uint32_t{7});
  return b;
}

GgufBytes ManyTensors(std::string_view last_name) {
  GgufBytes b;
  b.Header(kTensors, 0);
  for (uint64_t i = 0; i < kTensors; ++i) {
    const std::string name = fmt::format("blk.{}.ffn_up.{}.weight", i / 1000, i);
    b.Tensor(i + 1 < kTensors ? name : last_name, {8}, DType::kF32, (kTensors - 1 - i) * 32);
  }
  return b.PadTo(32).Zeros(kTensors * 32);
}

TEST(GgufScale, MillionKeys) {
  const Result<GgufFile> file = ParseBytes(ManyKeys("last").bytes());
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->metadata.entries().size(), kKeys);
  for (uint32_t i = 0; i + 1 < kKeys; i += 997) {
    ASSERT_EQ(file->metadata.GetUint(fmt::format("some.key.{}", i)).value(), i);
  }
  EXPECT_EQ(file->metadata.GetUint("last").value(), 7U);
}

TEST(GgufScale, MillionKeysAndTheLastIsThereTwice) {
  const Result<GgufFile> file = ParseBytes(ManyKeys("some.key.3").bytes());
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("key 'some.key.3': the key is there twice"));
}

TEST(GgufScale, HundredThousandTensors) {
  Result<GgufFile> file = ParseBytes(ManyTensors("output.weight").bytes());
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_EQ(file->tensors.size(), kTensors);
  EXPECT_EQ(file->tensors.back().file_offset, file->data_offset);
  std::vector<GgufFile> files;
  files.push_back(*std::move(file));
  const Result<TensorIndex> index = TensorIndex::Build(std::move(files));
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->group_count(), 102U);
  EXPECT_EQ(index->total_bytes(), kTensors * 32);
  const auto id = index->Find("blk.42.ffn_up.42123.weight");
  ASSERT_TRUE(id);
  EXPECT_EQ(index->at(*id).group, 43U);
}

TEST(GgufScale, HundredThousandTensorsAndTheLastIsThereTwice) {
  const Result<GgufFile> file = ParseBytes(ManyTensors("blk.0.ffn_up.5.weight").bytes());
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message,
              HasSubstr("tensor 'blk.0.ffn_up.5.weight': the tensor is there twice"));
}

}  // namespace
}  // namespace llmrun
