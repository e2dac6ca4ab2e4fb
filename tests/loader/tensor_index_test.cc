#include "loader/index/tensor_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "loader/gguf/gguf_writer.h"
#include "loader/open_model.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Part {
  std::vector<std::string> tensors;
  std::vector<std::pair<std::string, uint32_t>> keys = {};
};

std::vector<std::byte> PartBytes(const Part& part) {
  GgufWriter writer;
  for (const auto& [key, value] : part.keys) writer.AddUint32(key, value);
  for (const std::string& name : part.tensors) {
    EXPECT_TRUE(writer.AddTensor(name, DType::kF32, {16}));
  }
  std::vector<std::byte> bytes = writer.Header();
  bytes.resize(bytes.size() + writer.DataBytes());
  return bytes;
}

Result<TensorIndex> BuildIndex(const std::vector<Part>& parts) {
  std::vector<GgufFile> files;
  for (const Part& part : parts) {
    const std::vector<std::byte> bytes = PartBytes(part);
    MemByteSource source(bytes, fmt::format("part{}", files.size()));
    files.push_back(ParseGguf(source).value());
  }
  return TensorIndex::Build(std::move(files));
}

std::vector<GroupId> Groups(const TensorIndex& index) {
  std::vector<GroupId> groups;
  for (const IndexedTensor& t : index.tensors()) groups.push_back(t.group);
  return groups;
}

TEST(TensorIndex, GroupsFollowTheLayers) {
  const TensorIndex index =
      BuildIndex({{{"token_embd.weight", "rope_freqs.weight", "blk.1.attn_q.weight",
                    "blk.0.attn_q.weight", "output_norm.weight", "output.weight", "blk.weight",
                    "blk.x.weight", "outputs.weight", "blk.2.a.b"}}})
          .value();
  EXPECT_EQ(index.group_count(), 5U);
  EXPECT_THAT(Groups(index), ElementsAre(4, 0, 2, 1, 4, 4, 0, 0, 0, 3));
  EXPECT_EQ(index.total_bytes(), 10U * 64);
  EXPECT_EQ(static_cast<uint32_t>(index.Find("blk.0.attn_q.weight").value()), 3U);
  EXPECT_FALSE(index.Find("blk.3.attn_q.weight"));
  EXPECT_EQ(index.at(TensorId{4}).name, "output_norm.weight");
}

TEST(TensorIndex, WithoutTensorsOrLayers) {
  EXPECT_EQ(BuildIndex({{{}}}).value().group_count(), 2U);
  const TensorIndex index = BuildIndex({{{"output.weight", "token_embd.weight"}}}).value();
  EXPECT_THAT(Groups(index), ElementsAre(1, 1));
  EXPECT_FALSE(BuildIndex({{{}}}).value().Find("x"));
}

TEST(TensorIndex, LayerNumbersAreBounded) {
  EXPECT_EQ(BuildIndex({{{"blk.0.w", "blk.2.w"}}}).error().message,
            "part0: layer 1 has no tensors, but layer 2 has");
  EXPECT_EQ(BuildIndex({{{"blk.99999.w"}}}).error().message,
            "part0: layer 0 has no tensors, but layer 99999 has");
  for (const char* number : {"100000", "4294967295", "4294967296", "99999999999999999999999"}) {
    const Result<TensorIndex> index = BuildIndex({{{fmt::format("blk.{}.w", number)}}});
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code, ErrorCode::kBadData);
    EXPECT_THAT(index.error().message, HasSubstr("at most 100000 layers are accepted"));
  }
  EXPECT_THAT(Groups(BuildIndex({{{"blk.-1.w", "blk.1e3.w", "blk..w", "blk.7"}}}).value()),
              ElementsAre(0, 0, 0, 0));
}

std::vector<Part> ThreeParts() {
  return {{{"token_embd.weight", "blk.0.w"},
           {{"split.no", 0}, {"split.count", 3}, {"split.tensors.count", 4}}},
          {{"blk.1.w"}, {{"split.no", 1}, {"split.count", 3}, {"split.tensors.count", 4}}},
          {{"output.weight"}, {{"split.no", 2}, {"split.count", 3}, {"split.tensors.count", 4}}}};
}

TEST(TensorIndex, JoinsTheParts) {
  const TensorIndex index = BuildIndex(ThreeParts()).value();
  EXPECT_EQ(index.files().size(), 3U);
  EXPECT_THAT(Groups(index), ElementsAre(3, 1, 2, 3));
  const FileExtent extent = index.at(index.Find("output.weight").value()).extent;
  EXPECT_EQ(extent.file, 2U);
  EXPECT_EQ(extent.offset, index.files()[2].data_offset);
  EXPECT_EQ(extent.bytes, 64U);
}

TEST(TensorIndex, RefusesPartsThatDisagree) {
  const auto message = [](const std::vector<Part>& parts) {
    const Result<TensorIndex> index = BuildIndex(parts);
    return index ? "accepted" : index.error().message;
  };
  std::vector<Part> parts = ThreeParts();
  parts.pop_back();
  EXPECT_EQ(message(parts), "part0: split.count is 3, but 2 part(s) are there");
  EXPECT_EQ(message({ThreeParts()[0]}), "part0: split.count is 3, but 1 part(s) are there");

  parts = ThreeParts();
  std::swap(parts[1], parts[2]);
  EXPECT_EQ(message(parts), "part1: split.no is 2, expected 1 from its name");

  parts = ThreeParts();
  parts[1].tensors.push_back("blk.0.w");
  EXPECT_EQ(message(parts), "part0: split.tensors.count is 4, but the 3 parts have 5 tensors");

  for (Part& part : parts) part.keys[2].second = 5;
  EXPECT_EQ(message(parts), "part1: tensor 'blk.0.w' is in part0 too");

  parts = ThreeParts();
  parts[2].keys.clear();
  EXPECT_EQ(message(parts), "part2: split.count is 0, but 3 part(s) are there");
  parts[2].keys = {{"split.count", 3}};
  EXPECT_EQ(message(parts), "part2: key 'split.no' is missing");
}

TEST(SplitPartPaths, FollowsThePattern) {
  EXPECT_THAT(
      SplitPartPaths("d/m-00002-of-00003.gguf"),
      ElementsAre("d/m-00001-of-00003.gguf", "d/m-00002-of-00003.gguf", "d/m-00003-of-00003.gguf"));
  for (const char* path :
       {"m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-0001-of-0003.gguf",
        "m-00001-of-00003.bin", "m-00001_of_00003.gguf", "m-0x001-of-00003.gguf", "",
        "-00001-of-00003.gguf", "m_00001-of-00003.gguf", "m-+0001-of-00003.gguf"}) {
    EXPECT_THAT(SplitPartPaths(path), ElementsAre(path));
  }
  EXPECT_EQ(SplitPartPaths("m-00001-of-99999.gguf").size(), 99'999U);
}

class SplitFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "llmrun-split-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    const std::vector<Part> parts = ThreeParts();
    for (size_t i = 0; i < parts.size(); ++i) {
      ASSERT_TRUE(WriteFile(PartPath(i + 1), PartBytes(parts[i])));
    }
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string PartPath(size_t number) const {
    return (folder_ / fmt::format("m-{:05}-of-00003.gguf", number)).string();
  }

  fs::path folder_;
};

TEST_F(SplitFilesTest, AnyPartOpensTheWholeModel) {
  for (size_t number = 1; number <= 3; ++number) {
    const Result<TensorIndex> index = OpenModel(PartPath(number));
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_EQ(index->tensors().size(), 4U);
    EXPECT_EQ(index->files()[1].label, PartPath(2));
  }
}

TEST_F(SplitFilesTest, NamesTheMissingPart) {
  fs::remove(PartPath(2));
  const Result<TensorIndex> index = OpenModel(PartPath(1));
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code, ErrorCode::kNoInput);
  EXPECT_EQ(
      index.error().message,
      fmt::format("part 2 of 3 cannot be opened: {}: No such file or directory", PartPath(2)));
}

TEST_F(SplitFilesTest, NamesTheDamagedPart) {
  fs::resize_file(PartPath(3), fs::file_size(PartPath(3)) - 1);
  const Result<TensorIndex> index = OpenModel(PartPath(1));
  ASSERT_FALSE(index);
  EXPECT_THAT(index.error().message, HasSubstr(PartPath(3) + ": tensor 'output.weight'"));
}

}  // namespace
}  // namespace llmrun
