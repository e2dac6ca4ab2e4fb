// Files on disk: opening, reading, real models; and what the writer writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "loader/gguf/gguf_writer.h"
#include "loader/io/file_byte_source.h"
#include "loader/open_model.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class GgufFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "llmrun-gguf-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string Path(const char* name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

void ExpectNoInput(const std::string& path, const std::string& message) {
  const auto source = FileByteSource::Open(path);
  ASSERT_FALSE(source) << path;
  EXPECT_EQ(source.error().code, ErrorCode::kNoInput) << source.error().message;
  EXPECT_EQ(source.error().message, path + ": " + message);
}

TEST_F(GgufFileTest, OnlyRegularFilesAreOpened) {
  ExpectNoInput(Path("none"), "No such file or directory");
  ExpectNoInput(folder_.string(), "is a directory, a file is expected");
  ExpectNoInput("/dev/null", "is a device, a file is expected");
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  ExpectNoInput(Path("pipe"), "is a pipe, a file is expected");
  ASSERT_EQ(::symlink("loop", Path("loop").c_str()), 0);
  ExpectNoInput(Path("loop"), "Too many levels of symbolic links");
  ExpectNoInput(Path(std::string(300, 'n').c_str()), "File name too long");
  if (::geteuid() != 0) {
    ASSERT_TRUE(WriteFile(Path("secret"), {}));
    ASSERT_EQ(::chmod(Path("secret").c_str(), 0), 0);
    ExpectNoInput(Path("secret"), "Permission denied");
  }
}

TEST_F(GgufFileTest, ReadsRangesAndNoticesTruncation) {
  std::vector<std::byte> bytes(100'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31);
  ASSERT_TRUE(WriteFile(Path("data"), bytes));
  const auto source = FileByteSource::Open(Path("data"));
  ASSERT_TRUE(source) << source.error().message;
  EXPECT_EQ((*source)->SizeBytes(), bytes.size());
  EXPECT_EQ((*source)->Label(), Path("data"));
  std::vector<std::byte> part(5000);
  ASSERT_TRUE((*source)->ReadAt(95'000, part));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), bytes.begin() + 95'000));
  EXPECT_TRUE((*source)->ReadAt(bytes.size(), {}));

  fs::resize_file(Path("data"), 97'000);
  const Status status = (*source)->ReadAt(95'000, part);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kBadData);
  EXPECT_THAT(status.error().message,
              HasSubstr("became shorter while it was read: 3000 bytes expected at byte 97000"));
}

TEST_F(GgufFileTest, OpenModelReadsWhatTheBuilderMade) {
  TinyLlamaSpec spec;
  spec.dtype = DType::kF16;
  const std::vector<std::byte> bytes = BuildTinyLlama(spec);
  ASSERT_TRUE(WriteFile(Path("m.gguf"), bytes));
  const Result<TensorIndex> index = OpenModel(Path("m.gguf"));
  ASSERT_TRUE(index) << index.error().message;
  EXPECT_EQ(index->files().size(), 1U);
  EXPECT_EQ(index->files()[0].label, Path("m.gguf"));
  EXPECT_EQ(index->files()[0].file_bytes, bytes.size());
  EXPECT_EQ(index->tensors().size(), 3U + 2 * 9);
  EXPECT_EQ(index->group_count(), 4U);
  EXPECT_EQ(index->metadata().GetString("general.architecture").value(), "llama");
  const auto id = index->Find("blk.1.ffn_down.weight");
  ASSERT_TRUE(id);
  EXPECT_EQ(index->at(*id).dtype, DType::kF16);
  EXPECT_EQ(index->at(*id).dims, (Dims{128, 64, 1, 1}));
  EXPECT_EQ(index->at(*id).extent.bytes, 128U * 64 * 2);
}

TEST(GgufWriterTest, OffsetsAreAlignedAndTensorsRefused) {
  GgufWriter writer(256);
  ASSERT_TRUE(writer.AddTensor("a", DType::kF32, {3}));
  ASSERT_TRUE(writer.AddTensor("b", DType::kQ4_0, {32, 5}));
  EXPECT_EQ(writer.tensors()[1].offset, 256U);
  EXPECT_EQ(writer.tensors()[1].bytes, 5U * 18);
  EXPECT_EQ(writer.DataBytes(), 512U);
  std::vector<std::byte> bytes = writer.Header();
  EXPECT_EQ(bytes.size() % 256, 0U);
  const size_t header_bytes = bytes.size();
  bytes.resize(header_bytes + writer.DataBytes());
  const Result<GgufFile> file = ParseBytes(bytes);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->alignment, 256U);
  EXPECT_EQ(file->data_offset, header_bytes);
  EXPECT_EQ(file->tensors[1].file_offset, header_bytes + 256);
  EXPECT_EQ(file->tensors[1].n_dims, 2);

  EXPECT_FALSE(writer.AddTensor("none", DType::kF32, {}));
  EXPECT_FALSE(writer.AddTensor("five", DType::kF32, {1, 1, 1, 1, 1}));
  EXPECT_EQ(writer.AddTensor("odd", DType::kQ4_0, {31}).error().message,
            "tensor 'odd': row length 31 is not a multiple of the Q4_0 block of 32");
  ASSERT_TRUE(writer.AddTensor("vast", DType::kI8, {uint64_t{1} << 62}));
  ASSERT_TRUE(writer.AddTensor("vast2", DType::kI8, {uint64_t{1} << 62}));
  ASSERT_TRUE(writer.AddTensor("vast3", DType::kI8, {uint64_t{1} << 62}));
  EXPECT_EQ(writer.AddTensor("vast4", DType::kI8, {uint64_t{1} << 62}).error().message,
            "tensor 'vast4': the data size overflows");
}

double ValueAt(const std::vector<std::byte>& bytes, const TensorInfo& tensor, size_t i) {
  const auto load = [&]<typename T>(size_t offset, T value) {
    std::memcpy(&value, bytes.data() + tensor.file_offset + offset, sizeof value);
    return value;
  };
  const auto half = [&](size_t offset) {
    const uint16_t bits = load(offset, uint16_t{0});
    if ((bits & 0x7fff) == 0) return 0.0;
    return std::ldexp((bits & 0x8000 ? -1.0 : 1.0) * (1024 + (bits & 0x3ff)),
                      ((bits >> 10) & 31) - 25);
  };
  switch (tensor.dtype) {
    case DType::kF32:
      return load(4 * i, 0.0F);
    case DType::kF16:
      return half(2 * i);
    default:
      return half(i / 32 * 34) * load(i / 32 * 34 + 2 + i % 32, int8_t{0});
  }
}

TEST(TinyLlama, HoldsTheSameValuesInEveryType) {
  TinyLlamaSpec spec;
  const std::vector<std::byte> f32 = BuildTinyLlama(spec);
  const GgufFile f32_file = ParseBytes(f32).value();
  EXPECT_EQ(BuildTinyLlama(spec), f32);
  for (const DType dtype : {DType::kF16, DType::kQ8_0}) {
    spec.dtype = dtype;
    const std::vector<std::byte> other = BuildTinyLlama(spec);
    const GgufFile file = ParseBytes(other).value();
    ASSERT_EQ(file.tensors.size(), f32_file.tensors.size());
    for (size_t t = 0; t < file.tensors.size(); ++t) {
      const size_t n = f32_file.tensors[t].bytes / 4;
      for (size_t i = 0; i < n; ++i) {
        ASSERT_EQ(ValueAt(other, file.tensors[t], i), ValueAt(f32, f32_file.tensors[t], i))
            << file.tensors[t].name << " " << i;
      }
    }
  }
}

fs::path OracleFolder() {
  if (const char* path = std::getenv("LLMRUN_ORACLE")) return path;
  return fs::path(LLMRUN_SOURCE_DIR) / ".." / "shared" / "oracle";
}

TEST(OracleFiles, EveryModelAndVocabularyOpens) {
  if (!fs::exists(OracleFolder())) GTEST_SKIP() << "no " << OracleFolder();
  int models = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(OracleFolder())) {
    if (entry.path().extension() != ".gguf") continue;
    const Result<TensorIndex> index = OpenModel(entry.path().string());
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_GE(index->metadata().GetArray("tokenizer.ggml.tokens").value()->size(), 512U);
    if (entry.path().filename() != "model.gguf") continue;
    ++models;
    const std::string arch(index->metadata().GetString("general.architecture").value());
    EXPECT_EQ(index->metadata().GetUint(arch + ".block_count").value() + 2, index->group_count());
    EXPECT_TRUE(index->Find("token_embd.weight"));
    EXPECT_EQ(index->at(*index->Find("output_norm.weight")).group, index->group_count() - 1);
  }
  EXPECT_GT(models, 0);
}

}  // namespace
}  // namespace llmrun
