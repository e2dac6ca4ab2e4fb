// Files that are cut off, have bits flipped or numbers exchanged: every outcome must be a clean
// error or a parse. What a sanitizer or a CHECK would find here is a defect.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "loader/index/tensor_index.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/sanitizer.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

// A sanitizer makes the long sweep ten times slower: it gets all prefixes of a small model and some
// of the shipped one; other builds get all of both.
constexpr size_t kSweepStep = kAnySanitizer ? 13 : 1;

std::vector<std::byte> ReadAll(const fs::path& path) {
  std::vector<std::byte> bytes(fs::file_size(path));
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  EXPECT_EQ(static_cast<size_t>(file.gcount()), bytes.size());
  return bytes;
}

// Every step-th proper prefix must be refused in words that name the file and a byte.
void ExpectPrefixesRejected(std::span<const std::byte> bytes, size_t max_prefix, size_t step) {
  for (size_t n = 0; n < max_prefix; n += step) {
    const Result<GgufFile> file = ParseBytes(bytes.first(n));
    ASSERT_FALSE(file) << "prefix of " << n << " bytes";
    ASSERT_EQ(file.error().code, ErrorCode::kBadData) << n;
    ASSERT_EQ(file.error().message.rfind("test.gguf: ", 0), 0U) << file.error().message;
    if (n < 4) continue;  // not even a magic number
    ASSERT_NE(file.error().message.find("byte"), std::string::npos) << file.error().message;
  }
}

// Parses, indexes and asks for what a loader asks for. Returns whether all of it was accepted.
bool Accepts(std::span<const std::byte> bytes) {
  Result<GgufFile> file = ParseBytes(bytes);
  if (!file) {
    EXPECT_FALSE(file.error().message.empty());
    return false;
  }
  for (const TensorInfo& t : file->tensors) {
    EXPECT_LE(t.file_offset, file->file_bytes);
    EXPECT_LE(t.bytes, file->file_bytes - t.file_offset);
    EXPECT_GE(t.file_offset, file->data_offset);
  }
  std::vector<GgufFile> files;
  files.push_back(*std::move(file));
  return TensorIndex::Build(std::move(files)).has_value();
}

// A header with every kind of field in it, and its data.
GgufBytes SmallFile() {
  GgufBytes b;
  b.Header(2, 6);
  b.Key("general.architecture", MetaType::kString).Text("llama");
  b.Key("general.alignment", MetaType::kUint32).U32(32);
  b.Key("llama.block_count", MetaType::kUint64).U64(1);
  b.Key("tokens", MetaType::kArray).ArrayHead(MetaType::kString, 2).Text("a").Text("bc");
  b.Key("scores", MetaType::kArray).ArrayHead(MetaType::kFloat32, 2).Value(0.5F).Value(-1.0F);
  b.Key("flags", MetaType::kArray).ArrayHead(MetaType::kBool, 2).Raw(std::string("\0\1", 2));
  b.Tensor("blk.0.w.weight", {32, 2}, DType::kQ8_0, 0);
  b.Tensor("output.weight", {8}, DType::kF32, 96);
  return b.PadTo(32).Zeros(128);
}

TEST(GgufDamage, EveryPrefixOfATinyLlama) {
  TinyLlamaSpec spec;
  spec.d_model = 32;
  spec.n_layers = 1;
  spec.n_heads = 2;
  spec.n_kv_heads = 1;
  spec.d_ff = 32;
  spec.n_vocab = 262;
  spec.dtype = DType::kQ8_0;
  spec.tied = true;
  const std::vector<std::byte> bytes = BuildTinyLlama(spec);
  const Result<GgufFile> whole = ParseBytes(bytes);
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_LT(bytes.size(), 64U << 10);
  const TensorInfo& last = whole->tensors.back();
  ExpectPrefixesRejected(bytes, last.file_offset + last.bytes, 1);
}

TEST(GgufDamage, EveryHeaderPrefixOfTheShippedModels) {
  const fs::path folder = fs::path(LLMRUN_SOURCE_DIR) / "models";
  // Their headers differ in type ids and offsets only: all prefixes of one of them, some of others.
  std::vector<fs::path> models;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".gguf") models.push_back(entry.path());
  }
  if (models.empty()) GTEST_SKIP() << "no model in " << folder;
  std::ranges::sort(models);
  for (size_t i = 0; i < models.size(); ++i) {
    const std::vector<std::byte> bytes = ReadAll(models[i]);
    const Result<GgufFile> whole = ParseBytes(bytes);
    ASSERT_TRUE(whole) << whole.error().message;
    ExpectPrefixesRejected(bytes, whole->data_offset, i == 0 ? kSweepStep : 97);
    ExpectPrefixesRejected(bytes, bytes.size() - whole->alignment, bytes.size() / 64);
  }
}

TEST(GgufDamage, EveryBitFlipOfASmallFile) {
  const GgufBytes b = SmallFile();
  ASSERT_TRUE(Accepts(b.bytes()));
  std::vector<std::byte> bytes = b.bytes();
  int rejected = 0;
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    const std::byte mask{static_cast<unsigned char>(1U << (i % 8))};
    bytes[i / 8] ^= mask;
    rejected += Accepts(bytes) ? 0 : 1;
    bytes[i / 8] ^= mask;
  }
  // Counts, lengths, types, offsets: far more than half of the header's bits matter.
  EXPECT_GT(rejected, 1000);
}

TEST(GgufDamage, EveryByteReplaced) {
  const GgufBytes b = SmallFile();
  std::vector<std::byte> bytes = b.bytes();
  for (std::byte& byte : bytes) {
    const std::byte before = byte;
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      byte = static_cast<std::byte>(value);
      Accepts(bytes);
    }
    byte = before;
  }
  EXPECT_TRUE(Accepts(bytes));
}

TEST(GgufDamage, EveryIntegerFieldReplaced) {
  const GgufBytes b = SmallFile();
  const uint64_t size = b.bytes().size();
  const uint64_t kBit31 = uint64_t{1} << 31;
  const uint64_t kBit32 = uint64_t{1} << 32;
  const uint64_t kBit63 = uint64_t{1} << 63;
  const uint64_t values[] = {0,
                             1,
                             UINT64_MAX,
                             UINT64_MAX - 1,
                             kBit31 - 1,
                             kBit31,
                             kBit32 - 1,
                             kBit32,
                             kBit63 - 1,
                             kBit63,
                             size - 1,
                             size,
                             size + 1,
                             31,
                             32,
                             33,
                             UINT64_MAX / 33,
                             UINT64_MAX / 14 + 1,
                             UINT64_MAX / 8 + 1,
                             UINT64_MAX - 31};
  ASSERT_GT(b.fields().size(), 30U);
  for (const GgufBytes::Field& one : b.fields()) {
    for (const uint64_t value : values) {
      std::vector<std::byte> bytes = b.bytes();
      std::memcpy(bytes.data() + one.offset, &value, one.width_bytes);
      Accepts(bytes);
      // In pairs with each later field: limits must hold whatever else is wrong.
      for (const GgufBytes::Field& two : b.fields()) {
        if (two.offset <= one.offset) continue;
        for (const uint64_t other : {UINT64_MAX, kBit63, kBit32, size}) {
          std::vector<std::byte> both = bytes;
          std::memcpy(both.data() + two.offset, &other, two.width_bytes);
          Accepts(both);
        }
      }
    }
  }
}

}  // namespace
}  // namespace llmrun
