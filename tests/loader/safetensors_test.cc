// The safetensors reader: what it gives, and every rule that a file can break.

#include "loader/safetensors/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "loader/index/tensor_index.h"
#include "loader/safetensors/header_json.h"
#include "loader/safetensors/shard_index.h"
#include "tests/support/safetensors_bytes.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

Result<GgufFile> ParseSafe(std::span<const std::byte> bytes) {
  MemByteSource source(bytes, "t.safetensors");
  return ParseSafetensors(source);
}

std::string Entry(const std::string& dtype, const std::string& shape, uint64_t begin,
                  uint64_t end) {
  return SafetensorsEntry(dtype, shape, begin, end);
}

constexpr size_t kGoodData = 24 + 4 + 3;
std::string GoodHeader() {
  return R"({"__metadata__":{"format":"pt","who":"\u00e4"},)"
         R"("w":)" +
         Entry("F32", "[2,3]", 0, 24) + R"(,"s":)" + Entry("BF16", "[]", 24, 26) + R"(,"none":)" +
         Entry("F16", "[7,0]", 26, 26) + R"(,"b":)" + Entry("BF16", "[1]", 26, 28) + R"(,"f8":)" +
         Entry("F8_E4M3", "[3]", 28, 31) + "}";
}

// The file must be refused; the message names the file and has every part.
void ExpectSafeRejected(const std::string& header, size_t data_bytes,
                        const std::vector<std::string>& parts,
                        ErrorCode code = ErrorCode::kBadData) {
  const Result<GgufFile> file = ParseSafe(SafetensorsBytes(header, data_bytes));
  ASSERT_FALSE(file) << header;
  EXPECT_EQ(file.error().code, code) << header;
  EXPECT_TRUE(file.error().message.starts_with("t.safetensors: ")) << file.error().message;
  for (const std::string& part : parts) EXPECT_THAT(file.error().message, HasSubstr(part));
}

std::string One(const std::string& entry) { return "{\"w\":" + entry + "}"; }

TEST(Safetensors, GivesTensorsAndMetadata) {
  const std::string header = GoodHeader() + "   ";  // writers pad with spaces
  const Result<GgufFile> file = ParseSafe(SafetensorsBytes(header, kGoodData));
  ASSERT_TRUE(file) << file.error().OneLine();
  EXPECT_EQ(file->format, FileFormat::kSafetensors);
  EXPECT_EQ(file->data_offset, 8 + header.size());
  EXPECT_EQ(file->file_bytes, 8 + header.size() + kGoodData);
  EXPECT_EQ(file->metadata.GetString("format").value(), "pt");
  EXPECT_EQ(file->metadata.GetString("who").value(), "\u00e4");
  ASSERT_EQ(file->tensors.size(), 5U);

  const TensorInfo& w = file->tensors[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, DType::kF32);
  EXPECT_EQ(w.n_dims, 2);
  EXPECT_EQ(w.dims, (Dims{3, 2, 1, 1}));  // rows of 3
  EXPECT_EQ(w.file_offset, file->data_offset);
  EXPECT_EQ(w.bytes, 24U);

  EXPECT_EQ(file->tensors[1].n_dims, 0);
  EXPECT_EQ(file->tensors[1].dims, (Dims{1, 1, 1, 1}));
  EXPECT_EQ(file->tensors[1].bytes, 2U);
  EXPECT_EQ(file->tensors[2].dims, (Dims{0, 7, 1, 1}));
  EXPECT_EQ(file->tensors[2].bytes, 0U);
  EXPECT_EQ(NameOf(file->tensors[4].dtype), "F8_E4M3");
  EXPECT_EQ(file->tensors[4].file_offset + file->tensors[4].bytes, file->file_bytes);
}

TEST(Safetensors, AFileWithoutTensorsIsOne) {
  for (const char* header : {"{}", "{\"__metadata__\":{}}"}) {
    const Result<GgufFile> file = ParseSafe(SafetensorsBytes(header, 0));
    ASSERT_TRUE(file) << file.error().OneLine();
    EXPECT_TRUE(file->tensors.empty());
  }
}

TEST(Safetensors, EveryTypeHasItsWidth) {
  const std::pair<const char*, uint64_t> types[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
      {"F32", 4},  {"I64", 8}, {"U64", 8}, {"F64", 8},     {"C64", 8},
  };
  for (const auto& [name, width] : types) {
    const auto file = ParseSafe(SafetensorsBytes(One(Entry(name, "[3]", 0, 3 * width)), 3 * width));
    ASSERT_TRUE(file) << name << file.error().OneLine();
    EXPECT_EQ(NameOf(file->tensors[0].dtype), name);
  }
  for (const char* name : {"Q4_0", "F4", "f32", ""}) {
    ExpectSafeRejected(One(Entry(name, "[32]", 0, 18)), 18, {"tensor 'w'", "dtype", name});
  }
}

TEST(Safetensors, RefusesDamagedHeads) {
  for (size_t n = 0; n <= 8; ++n) {
    EXPECT_FALSE(ParseSafe(std::vector<std::byte>(n, std::byte{'{'})));
  }
  std::vector<std::byte> bytes = SafetensorsBytes("{}", 0);
  bytes[4] = std::byte{1};  // 2^32 + 2
  EXPECT_THAT(ParseSafe(bytes).error().message, HasSubstr("4294967298 bytes, at most 100000000"));
  bytes[4] = std::byte{0};
  bytes[0] = std::byte{3};
  EXPECT_THAT(ParseSafe(bytes).error().message, HasSubstr("a header of 3 bytes, the file has 2"));
  ExpectSafeRejected(" {}", 0, {"not a safetensors file"});
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1";
  const Result<GgufFile> lfs = ParseSafe(std::as_bytes(std::span(pointer)));
  ASSERT_FALSE(lfs);
  EXPECT_THAT(lfs.error().OneLine(), HasSubstr("git lfs pull"));
}

TEST(Safetensors, RefusesWhatIsNotItsJson) {
  const std::string w = Entry("F32", "[1]", 0, 4);
  ExpectSafeRejected("{", 0, {"not valid JSON"});
  ExpectSafeRejected("{}{}", 0, {"byte 1", "not valid JSON"});
  ExpectSafeRejected(std::string("{}\0x", 4), 0, {"byte 10", "zero byte"});
  ExpectSafeRejected("{\"\xff\":1}", 0, {"not valid JSON"});
  ExpectSafeRejected("{\"w\":1}", 0, {"'w'", "expected an object", "a number"});
  ExpectSafeRejected("{\"w\":[]}", 0, {"'w'", "expected an object", "an array"});
  ExpectSafeRejected(One("{}"), 0, {"'w'", "no dtype"});
  ExpectSafeRejected(One("{\"dtype\":\"F32\"}"), 0, {"'w'", "no shape"});
  ExpectSafeRejected(One("{\"dtype\":\"F32\",\"shape\":[]}"), 0, {"'w'", "no data_offsets"});
  ExpectSafeRejected(One("{\"dtype\":1}"), 0, {"'w'", "dtype: expected a string"});
  ExpectSafeRejected(One("{\"dtype\":null}"), 0, {"'w'", "dtype: expected a string", "null"});
  ExpectSafeRejected(One("{\"shape\":\"x\"}"), 0, {"'w'", "shape: expected an array"});
  ExpectSafeRejected(One("{\"shape\":[\"x\"]}"), 0, {"'w'", "shape: expected whole numbers"});
  ExpectSafeRejected(One("{\"shape\":[[1]]}"), 0, {"'w'", "shape: expected whole numbers"});
  ExpectSafeRejected(One("{\"shape\":[-1]}"), 0, {"'w'", "a negative number"});
  ExpectSafeRejected(One("{\"shape\":[1.5]}"), 0, {"'w'", "1.5"});
  ExpectSafeRejected(One("{\"shape\":[18446744073709551616]}"), 0, {"'w'", "18446744073709551616"});
  ExpectSafeRejected(One("{\"data_offsets\":[0]}"), 0, {"'w'", "expected 2 numbers, found 1"});
  ExpectSafeRejected(One("{\"data_offsets\":[0,1,2]}"), 0, {"'w'", "expected 2 numbers"});
  ExpectSafeRejected(One("{\"stride\":[1]}"), 0, {"'w'", "'stride'"});
  ExpectSafeRejected("{\"__metadata__\":1}", 0, {"'__metadata__'", "expected an object"});
  ExpectSafeRejected("{\"__metadata__\":{\"a\":1}}", 0, {"'a'", "expected a string"});
  ExpectSafeRejected("{\"__metadata__\":{\"a\":{}}}", 0, {"'a'", "expected a string"});
  ExpectSafeRejected("{\"\":" + w + "}", 4, {"the name is empty"});
  std::string deep = "{\"w\":";
  for (int i = 0; i < 100'000; ++i) deep += "{\"w\":";
  ExpectSafeRejected(deep, 0, {"'w'"});
}

TEST(Safetensors, RefusesWhatIsThereTwice) {
  const std::string w = Entry("F32", "[1]", 0, 4);
  ExpectSafeRejected("{\"w\":" + w + ",\"w\":" + w + "}", 4, {"'w'", "twice"});
  ExpectSafeRejected("{\"__metadata__\":{},\"__metadata__\":{}}", 0, {"'__metadata__'", "twice"});
  ExpectSafeRejected("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, {"'a'", "twice"});
  ExpectSafeRejected(One("{\"dtype\":\"F32\",\"dtype\":\"F32\"}"), 0, {"dtype is there twice"});
  ExpectSafeRejected(One("{\"shape\":[],\"shape\":[]}"), 0, {"shape is there twice"});
  ExpectSafeRejected(One("{\"data_offsets\":[0,0],\"data_offsets\":[0,0]}"), 0,
                     {"data_offsets is there twice"});
}

TEST(Safetensors, RefusesSizesThatDoNotAgree) {
  ExpectSafeRejected(One(Entry("F32", "[2]", 0, 4)), 4, {"'w'", "expected 8 bytes", "found 4"});
  ExpectSafeRejected(One(Entry("F32", "[0]", 0, 4)), 4, {"'w'", "expected 0 bytes", "found 4"});
  ExpectSafeRejected(One(Entry("F32", "[1]", 4, 0)), 4, {"'w'", "begins at 4"});
  ExpectSafeRejected(One(Entry("F64", "[4294967296,4294967296]", 0, 0)), 0, {"'w'", "overflows"});
  ExpectSafeRejected(One(Entry("F64", "[2305843009213693952]", 0, 0)), 0, {"'w'", "overflows"});
  ExpectSafeRejected(One(Entry("U8", "[1,1,1,1,1]", 0, 1)), 1, {"'w'", "more than 4 dimensions"},
                     ErrorCode::kUnavailable);
}

TEST(Safetensors, RefusesDataThatIsNotTiled) {
  const auto two = [](uint64_t begin) {
    return "{\"a\":" + Entry("U8", "[4]", 0, 4) + ",\"b\":" + Entry("U8", "[4]", begin, begin + 4) +
           "}";
  };
  EXPECT_TRUE(ParseSafe(SafetensorsBytes(two(4), 8)));
  ExpectSafeRejected(two(5), 9, {"'b'", "expected at byte 4", "found at 5", "hole"});
  ExpectSafeRejected(two(3), 7, {"'b'", "overlaps tensor 'a'"});
  ExpectSafeRejected(two(0), 4, {"overlaps tensor"});
  ExpectSafeRejected(two(4), 7, {"'b'", "4 bytes expected at byte 4", "7 bytes"});
  ExpectSafeRejected(two(4), 9, {"expected 8 bytes of data, found 9"});
  ExpectSafeRejected(One(Entry("U8", "[4]", 1, 5)), 5, {"'w'", "hole"});
  ExpectSafeRejected(One(Entry("U8", "[0]", 1, 1)), 1, {"'w'", "hole"});
  const uint64_t far = UINT64_MAX - 4;
  ExpectSafeRejected(One(Entry("U8", "[4]", far, far + 4)), 4, {"'w'", "4 bytes expected"});
  ExpectSafeRejected("{}", 1, {"expected 0 bytes of data, found 1"});
}

TEST(Safetensors, RefusesTooManyTensors) {
  static_assert(kMaxSafetensorsTensors == 1U << 20);
  constexpr uint64_t kMost = 1000;
  std::string header = "{";
  for (uint64_t i = 0; i < kMost; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + Entry("U8", "[0]", 0, 0);
  }
  GgufFile file;
  EXPECT_TRUE(ReadSafetensorsHeader(header + "}", 8, &file, kMost));
  EXPECT_EQ(file.tensors.size(), kMost);
  GgufFile too_many;
  const std::string one_more = ",\"1000\":" + Entry("U8", "[0]", 0, 0) + "}";
  const Status refused = ReadSafetensorsHeader(header + one_more, 8, &too_many, kMost);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kBadData);
  EXPECT_THAT(refused.error().message, HasSubstr("tensor '1000': more than 1000 tensors"));
}

TEST(Safetensors, RefusesEveryPrefix) {
  const std::vector<std::byte> bytes = SafetensorsBytes(GoodHeader(), kGoodData);
  ASSERT_TRUE(ParseSafe(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Result<GgufFile> file = ParseSafe(std::span(bytes).first(n));
    ASSERT_FALSE(file) << n;
    ASSERT_EQ(file.error().code, ErrorCode::kBadData) << n;
    ASSERT_FALSE(file.error().message.empty());
  }
}

TEST(Safetensors, SurvivesChangedBytes) {
  const std::vector<std::byte> good = SafetensorsBytes(GoodHeader(), kGoodData);
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> bytes = good;
    const size_t header_end = bytes.size() - kGoodData;
    for (int i = 0; i <= round % 3; ++i) bytes[random() % header_end] = std::byte(random() % 256);
    const Result<GgufFile> file = ParseSafe(bytes);
    if (!file) continue;
    uint64_t sum = 0;
    for (const TensorInfo& tensor : file->tensors) {
      ASSERT_LE(tensor.file_offset + tensor.bytes, bytes.size());
      sum += tensor.bytes;
    }
    ASSERT_EQ(sum, file->file_bytes - file->data_offset);
  }
}

TEST(Safetensors, ItsTensorsAreIndexedWithoutLayers) {
  const std::string header = "{\"blk.7.x\":" + Entry("U8", "[4]", 0, 4) +
                             ",\"output.weight\":" + Entry("U8", "[4]", 4, 8) +
                             R"(,"__metadata__":{"split.count":"3"}})";
  std::vector<GgufFile> files;
  files.push_back(ParseSafe(SafetensorsBytes(header, 8)).value());
  const Result<TensorIndex> index = TensorIndex::Build(std::move(files));
  ASSERT_TRUE(index) << index.error().OneLine();
  EXPECT_EQ(index->group_count(), 2U);
  EXPECT_EQ(index->total_bytes(), 8U);
  for (const IndexedTensor& tensor : index->tensors()) EXPECT_EQ(tensor.group, 0U);
}

// --- the index of several files ---

TEST(ShardIndex, KnowsItsNames) {
  EXPECT_TRUE(IsShardIndexPath("a/model.safetensors.index.json"));
  EXPECT_FALSE(IsShardIndexPath("a/config.json"));
  EXPECT_EQ(ShardIndexPathOf("a/m-00002-of-00003.safetensors"), "a/m.safetensors.index.json");
  for (const char* path : {"m.safetensors", "m-0002-of-00003.safetensors", "-00002-of-00003.bin",
                           "-00002-of-00003.safetensors", "m-00002_of-00003.safetensors"}) {
    EXPECT_EQ(ShardIndexPathOf(path), std::nullopt) << path;
  }
}

TEST(ShardIndex, GivesShardsInOrder) {
  const Result<ShardIndex> index =
      ParseShardIndex(R"({"metadata":{"total_size":8,"x":[{"weight_map":{}}]},"weight_map":)"
                      R"({"c":"m-2.safetensors","a":"m-1.safetensors","b":"m-2.safetensors"}})",
                      "i.json");
  ASSERT_TRUE(index) << index.error().OneLine();
  EXPECT_THAT(index->shards, testing::ElementsAre("m-1.safetensors", "m-2.safetensors"));
  ASSERT_EQ(index->places.size(), 3U);
  EXPECT_EQ(index->places[0].tensor, "c");
  EXPECT_EQ(index->places[0].shard, 1U);
  EXPECT_EQ(index->places[1].shard, 0U);
}

TEST(ShardIndex, RefusesWhatItCannotTrust) {
  const std::pair<std::string, const char*> cases[] = {
      {"{", "not valid JSON"},
      {"3", "weight_map"},
      {"[]", "weight_map"},
      {"{}", "no weight_map"},
      {"{\"weight_map\":{}}", "no weight_map"},
      {"{\"weight_map\":[\"a\"]}", "no weight_map"},
      {R"({"weight_map":{"a":1}})", "weight_map of file names"},
      {R"({"weight_map":{"a":{}}})", "expected names of files"},
      {R"({"weight_map":{"a":"../b.safetensors"}})", "'../b.safetensors'"},
      {R"({"weight_map":{"a":"b.bin"}})", "'b.bin'"},
      {R"({"weight_map":{"a":"b.safetensors","a":"b.safetensors"}})", "'a' is there twice"},
      {R"({"weight_map":{"a":"b.safetensors"},"weight_map":{}})", "weight_map is there twice"},
      {"{\"metadata\":" + std::string(100'000, '['), "nested deeper"},
  };
  for (const auto& [json, part] : cases) {
    const Result<ShardIndex> index = ParseShardIndex(json, "i.json");
    ASSERT_FALSE(index) << json.substr(0, 100);
    EXPECT_EQ(index.error().code, ErrorCode::kBadData);
    EXPECT_TRUE(index.error().message.starts_with("i.json: ")) << index.error().message;
    EXPECT_THAT(index.error().message, HasSubstr(part));
  }
}

}  // namespace
}  // namespace llmrun
