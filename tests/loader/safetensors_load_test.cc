// Safetensors files through everything a loader does: found, parsed, indexed, planned, read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "loader/open_model.h"
#include "tests/loader/weights_support.h"
#include "tests/support/safetensors_bytes.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr LoaderKind kLoadersOfAll[] = {LoaderKind::kMmap, LoaderKind::kRead, LoaderKind::kIoUring,
                                        LoaderKind::kSplice};

// Tensors `names` of 4 KiB + 12 bytes each, with an empty one before each of them.
std::vector<std::byte> FewTensors(const std::vector<std::string>& names) {
  constexpr uint64_t kBytes = 4096 + 12;
  std::string header = "{";
  uint64_t at = 0;
  for (const std::string& name : names) {
    header += at > 0 ? "," : "";
    header += '"' + name + "\":" + SafetensorsEntry("F32", "[1027]", at, at + kBytes) + ",\"" +
              name + ".empty\":" + SafetensorsEntry("F32", "[0,99]", at, at);
    at += kBytes;
  }
  return SafetensorsBytes(header + "}", at);
}

void ExpectLoads(const TensorIndex& index) {
  for (const LoaderKind loader : kLoadersOfAll) {
    const Result<LoadReport> report = LoadAll(index, {.loader = loader});
    ASSERT_TRUE(report) << NameOf(loader) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, HashOfFiles(index)) << NameOf(loader);
  }
}

TEST(SafetensorsLoad, EveryLoaderBringsTheSameBytes) {
  const TempTree tree;
  // No extension: the bytes say what it is.
  ASSERT_TRUE(WriteFile(tree.Path("weights"), FewTensors({"a", "b", "c"})));
  const Result<TensorIndex> index = OpenModel(tree.Path("weights"));
  ASSERT_TRUE(index) << index.error().OneLine();
  EXPECT_EQ(index->tensors().size(), 6U);
  ExpectLoads(*index);
}

TEST(SafetensorsLoad, NothingButEmptyTensors) {
  const TempTree tree;
  const std::string header = "{\"a\":" + SafetensorsEntry("F32", "[0]", 0, 0) + "}";
  ASSERT_TRUE(WriteFile(tree.Path("empty.safetensors"), SafetensorsBytes(header, 0)));
  const Result<TensorIndex> index = OpenModel(tree.Path("empty.safetensors"));
  ASSERT_TRUE(index) << index.error().OneLine();
  ExpectLoads(*index);
}

TEST(SafetensorsLoad, ItsNameSaysWhatADamagedFileShouldBe) {
  const TempTree tree;
  tree.Write("m.safetensors", "<html>");
  EXPECT_THAT(OpenModel(tree.Path("m.safetensors")).error().message,
              HasSubstr("m.safetensors: byte 0: expected a length"));
  ASSERT_TRUE(WriteFile(tree.Path("g.safetensors"), BuildTinyLlama({})));
  EXPECT_TRUE(OpenModel(tree.Path("g.safetensors")));  // a GGUF under another name
}

TEST(SafetensorsLoad, RunningIsRefused) {
  const TempTree tree;
  ASSERT_TRUE(WriteFile(tree.Path("m.safetensors"), FewTensors({"a"})));
  const Result<TensorIndex> index = OpenRunnableModel(tree.Path("m.safetensors"));
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(index.error().OneLine(), HasSubstr("llm-run convert"));
}

class SafetensorsShards : public testing::Test {
 protected:
  SafetensorsShards() {
    EXPECT_TRUE(WriteFile(Shard(1), FewTensors({"a"})));
    EXPECT_TRUE(WriteFile(Shard(2), FewTensors({"b", "c"})));
    WriteIndex("1", "2");
  }
  std::string Shard(int i) const {
    return tree_.Path("m-0000" + std::to_string(i) + "-of-00002.safetensors");
  }
  std::string IndexPath() const { return tree_.Path("m.safetensors.index.json"); }
  // The index, with the shards of "a" and of "c".
  void WriteIndex(const std::string& a, const std::string& c) {
    const auto entry = [](const std::string& name, const std::string& shard) {
      return '"' + name + R"(":"m-0000)" + shard + R"(-of-00002.safetensors")";
    };
    tree_.Write("m.safetensors.index.json",
                R"({"metadata":{"total_size":1},"weight_map":{)" + entry("a", a) + "," +
                    entry("a.empty", "1") + "," + entry("b", "2") + "," + entry("b.empty", "2") +
                    "," + entry("c", c) + "," + entry("c.empty", "2") + "}}");
  }

  const TempTree tree_;
};

TEST_F(SafetensorsShards, AnyOfThemOpensAll) {
  for (const std::string& path : {IndexPath(), Shard(1), Shard(2)}) {
    const Result<TensorIndex> index = OpenModel(path);
    ASSERT_TRUE(index) << index.error().OneLine();
    ASSERT_EQ(index->files().size(), 2U);
    EXPECT_EQ(index->files()[0].label, Shard(1));
    EXPECT_EQ(index->tensors().size(), 6U);
    EXPECT_EQ(ModelPartPaths(path).value(), (std::vector{Shard(1), Shard(2)}));
  }
  ExpectLoads(OpenModel(IndexPath()).value());
}

TEST_F(SafetensorsShards, AShardWithoutAnIndexIsAFileOfItsOwn) {
  std::filesystem::remove(IndexPath());
  const Result<TensorIndex> index = OpenModel(Shard(2));
  ASSERT_TRUE(index) << index.error().OneLine();
  EXPECT_EQ(index->tensors().size(), 4U);
}

TEST_F(SafetensorsShards, TheIndexMustAgree) {
  WriteIndex("2", "2");
  EXPECT_THAT(OpenModel(Shard(1)).error().message,
              HasSubstr("tensor 'a': expected in m-00002-of-00002.safetensors, found in"));
  WriteIndex("1", "1");
  EXPECT_THAT(OpenModel(Shard(1)).error().message, HasSubstr("tensor 'c'"));
  WriteIndex("1", "2");
  ASSERT_TRUE(WriteFile(Shard(2), FewTensors({"b"})));
  EXPECT_THAT(OpenModel(Shard(1)).error().message, HasSubstr("names 6 tensors"));
  ASSERT_TRUE(WriteFile(Shard(2), FewTensors({"b", "c", "d"})));
  EXPECT_THAT(OpenModel(Shard(1)).error().message, HasSubstr("'d': expected in no shard"));
  std::filesystem::remove(Shard(2));
  const Result<TensorIndex> missing = OpenModel(IndexPath());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNoInput);
  EXPECT_THAT(missing.error().message, HasSubstr("part 2 of 2"));
}

}  // namespace
}  // namespace llmrun
