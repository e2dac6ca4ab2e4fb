// Each way in which a GGUF can be wrong, and what is said about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/gguf/gguf_writer.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

void ExpectRejected(std::span<const std::byte> bytes, const std::string& message,
                    ErrorCode code = ErrorCode::kBadData) {
  const Result<GgufFile> file = ParseBytes(bytes);
  ASSERT_FALSE(file) << "accepted, expected: " << message;
  EXPECT_EQ(file.error().code, code);
  EXPECT_THAT(file.error().message, StartsWith("test.gguf: "));
  EXPECT_THAT(file.error().message, HasSubstr(message));
}
void ExpectRejected(const GgufBytes& b, const std::string& message,
                    ErrorCode code = ErrorCode::kBadData) {
  ExpectRejected(b.bytes(), message, code);
}

GgufBytes OneKey() { return GgufBytes().Header(0, 1); }
GgufBytes OneTensor() { return GgufBytes().Header(1, 0); }

TEST(GgufReject, WrongFiles) {
  ExpectRejected(GgufBytes(), "the file is empty");
  ExpectRejected(GgufBytes().Raw("GG"), "not a GGUF file: found bytes 47 47");
  ExpectRejected(GgufBytes().Raw("hello, world"), "found bytes 68 65 6c 6c at its beginning");
  ExpectRejected(GgufBytes().Raw("\n <!DOCTYPE html><html>"), "found an HTML page");
  ExpectRejected(GgufBytes().Raw("<html lang=en>"), "found an HTML page");
  ExpectRejected(GgufBytes().Raw("PK\x03\x04 and more"), "found a ZIP archive");
  ExpectRejected(GgufBytes().U64(1000).Raw("{\"__metadata__\":{}}"), "found a safetensors file");
  ExpectRejected(GgufBytes().Raw("{\"error\":\"not found\"}"), "found a JSON document");
  ExpectRejected(GgufBytes().Raw("tjgg").U32(3), "GGML file of the time before GGUF");
  ExpectRejected(GgufBytes().Zeros(100), "found zeros at its beginning");

  const GgufBytes pointer = GgufBytes().Raw("version https://git-lfs.github.com/spec/v1\noid ...");
  ExpectRejected(pointer, "found a Git LFS pointer");
  EXPECT_EQ(ParseBytes(pointer.bytes()).error().fix, "git lfs pull");
}

TEST(GgufReject, Versions) {
  const auto version = [](uint32_t v) { return GgufBytes().Header(0, 0, v); };
  ExpectRejected(version(0), "byte 4: GGUF version 0 does not exist");
  ExpectRejected(version(1), "GGUF version 1; versions 2 to 3 can be read",
                 ErrorCode::kUnavailable);
  ExpectRejected(version(4), "GGUF version 4", ErrorCode::kUnavailable);
  ExpectRejected(version(0x03000000), "big-endian", ErrorCode::kUnavailable);
  ExpectRejected(GgufBytes().Raw("FUGG").U32(0), "big-endian", ErrorCode::kUnavailable);
  EXPECT_TRUE(ParseBytes(version(2).bytes()));
  EXPECT_TRUE(ParseBytes(version(3).bytes()));
}

TEST(GgufReject, Counts) {
  for (const uint64_t n : {UINT64_MAX, uint64_t{1} << 63, UINT64_MAX / 88 + 2}) {
    ExpectRejected(GgufBytes().Header(n, 0),
                   fmt::format("byte 8: {} tensor descriptions, at most 1000000 are accepted", n));
    ExpectRejected(GgufBytes().Header(0, n),
                   fmt::format("byte 16: {} metadata entries, at most 1048576 are accepted", n));
  }
  ExpectRejected(GgufBytes().Header(1'000'000, 0),
                 "1000000 tensor descriptions need at least 33 bytes each, the file has 8 left");
  ExpectRejected(GgufBytes().Header(0, 2).Zeros(27),
                 "byte 16: 2 metadata entries need at least 14 bytes each, the file has 27 left");
}

TEST(GgufReject, Keys) {
  ExpectRejected(OneKey().Text("").U32(0).Zeros(8),
                 "byte 24: metadata entry 1 of 1: the key is empty");
  ExpectRejected(OneKey().U64(UINT64_MAX).Zeros(8),
                 "byte 24: metadata entry 1 of 1: the length of the key is 18446744073709551615 "
                 "bytes, the file has 8 left");
  ExpectRejected(OneKey().Text(std::string(65'536, 'k')).Zeros(8),
                 "the key is 65536 bytes long, at most 65535 are accepted");
  EXPECT_TRUE(ParseBytes(
      OneKey().Key(std::string(65'535, 'k'), MetaType::kUint8).Value<uint8_t>(1).bytes()));
  GgufBytes twice = GgufBytes().Header(0, 3);
  for (const char* key : {"one", "two", "one"}) {
    twice.Key(key, MetaType::kUint8).Value<uint8_t>(1);
  }
  ExpectRejected(twice, "key 'one': the key is there twice (the second one at byte 56)");
  // Names come from the file: they must not reach a terminal as they are.
  ExpectRejected(OneKey().Key("a\x1b[2J\n'\xff", static_cast<MetaType>(13)).Zeros(8),
                 R"(key 'a\x1b[2J\x0a'\xff': unknown value type 13)");
}

TEST(GgufReject, Values) {
  const auto value = [](MetaType type) { return OneKey().Key("k", type); };
  for (const uint32_t type : {13U, 255U, 0x7fffffffU, 0xffffffffU}) {
    ExpectRejected(value(static_cast<MetaType>(type)).Zeros(8),
                   fmt::format("byte 33: key 'k': unknown value type {}", type));
  }
  ExpectRejected(value(MetaType::kUint64).Zeros(7),
                 "byte 37: key 'k': the file ends inside the value: 8 bytes expected, 7 left");
  ExpectRejected(value(MetaType::kBool).Value<uint8_t>(2), "key 'k': a bool is 0 or 1, found 2");
  ExpectRejected(value(MetaType::kString).U64(UINT64_MAX),
                 "the length of a string value is 18446744073709551615 bytes, the file has 0 left");
  ExpectRejected(value(MetaType::kString).U64(9).Zeros(8), "is 9 bytes, the file has 8 left");
  GgufLimits limits;
  limits.max_string_bytes = 10;
  const Result<GgufFile> file =
      ParseBytes(value(MetaType::kString).Text("12345678901").bytes(), limits);
  EXPECT_THAT(file.error().message, HasSubstr("11 bytes long, at most 10 are accepted"));
}

TEST(GgufReject, Arrays) {
  const auto array = [](MetaType type, uint64_t count) {
    return OneKey().Key("k", MetaType::kArray).ArrayHead(type, count);
  };
  ExpectRejected(array(MetaType::kArray, 1).Zeros(20), "byte 37: key 'k': an array of arrays");
  ExpectRejected(array(static_cast<MetaType>(13), 1).Zeros(9), "unknown element type 13");
  ExpectRejected(array(MetaType::kUint8, UINT64_MAX).Zeros(9),
                 "an array of 18446744073709551615 elements, at most 67108864 are accepted");
  ExpectRejected(array(MetaType::kUint64, 5).Zeros(39),
                 "5 array elements need at least 8 bytes each, the file has 39 left");
  ExpectRejected(array(MetaType::kString, 5).Zeros(39),
                 "5 array elements need at least 8 bytes each, the file has 39 left");
  ExpectRejected(array(MetaType::kString, 2).Text("fine").U64(100),
                 "the length of a string value is 100 bytes, the file has 0 left");
  ExpectRejected(array(MetaType::kBool, 3).Raw(std::string("\0\1\2", 3)),
                 "a bool is 0 or 1, found 2");
}

TEST(GgufReject, Alignment) {
  const auto alignment = [](uint32_t value) {
    return OneKey().Key("general.alignment", MetaType::kUint32).U32(value);
  };
  for (const uint32_t value : {0U, 3U, 33U, 0x20000U, 0x80000000U, 0xffffffffU}) {
    ExpectRejected(alignment(value), fmt::format("key 'general.alignment': expected a power of two "
                                                 "of at most 65536, found {}",
                                                 value));
  }
  for (const uint32_t value : {1U, 8U, 65536U}) {
    EXPECT_EQ(ParseBytes(alignment(value).bytes()).value().alignment, value);
  }
  ExpectRejected(OneKey().Key("general.alignment", MetaType::kString).Text("32"),
                 "key 'general.alignment': expected u32, found string");
  ExpectRejected(OneKey().Key("general.alignment", MetaType::kInt32).U32(32), "found i32");
}

TEST(GgufReject, TensorDescriptions) {
  const auto tensor = [](std::vector<uint64_t> dims, DType type, uint64_t offset) {
    return OneTensor().Tensor("t", std::move(dims), type, offset).PadTo(32).Zeros(256);
  };
  EXPECT_TRUE(ParseBytes(tensor({64}, DType::kF32, 0).bytes()));
  ExpectRejected(OneTensor().Tensor("", {8}, DType::kF32, 0).Zeros(64), "the tensor name is empty");
  ExpectRejected(OneTensor().Tensor(std::string(257, 'n'), {8}, DType::kF32, 0).Zeros(64),
                 "the name is 257 bytes long, at most 256 are accepted");
  ExpectRejected(tensor({}, DType::kF32, 0), "byte 33: tensor 't': 0 dimensions");
  ExpectRejected(tensor({1, 1, 1, 1, 1}, DType::kF32, 0), "5 dimensions, 1 to 4 are accepted");
  ExpectRejected(tensor({0}, DType::kF32, 0), "byte 37: tensor 't': dimension 0 is 0");
  ExpectRejected(tensor({8, 0, 2}, DType::kF32, 0), "byte 45: tensor 't': dimension 1 is 0");
  for (const uint32_t type : {4U, 31U, 40U, 0x7fffffffU, 0xffffffffU}) {
    ExpectRejected(tensor({8}, static_cast<DType>(type), 0),
                   fmt::format("byte 45: tensor 't': unknown element type {}", type));
  }
  ExpectRejected(tensor({33}, DType::kQ8_0, 0),
                 "row length 33 is not a multiple of the Q8_0 block");
  const uint64_t big = uint64_t{1} << 32;
  ExpectRejected(tensor({big, big, 1, 1}, DType::kF32, 0), "tensor 't': size of 4294967296 x");
  ExpectRejected(tensor({uint64_t{1} << 62}, DType::kF32, 0), "overflows");
  ExpectRejected(tensor({8}, DType::kF32, 16),
                 "byte 49: tensor 't': data offset 16 is not a multiple of the alignment 32");
}

TEST(GgufReject, TensorData) {
  GgufBytes b = OneTensor().Tensor("t", {64}, DType::kF32, 0).PadTo(32);  // header of 64 bytes
  ExpectRejected(GgufBytes(b).Zeros(255),
                 "tensor 't': 256 bytes of data expected at byte 64, the file ends at byte 319");
  const Result<GgufFile> file = ParseBytes(GgufBytes(b).Zeros(256).bytes());
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->data_offset, 64U);
  EXPECT_EQ(file->tensors[0].file_offset, 64U);
  EXPECT_EQ(file->tensors[0].bytes, 256U);

  const auto at = [](uint64_t offset) {
    return OneTensor().Tensor("t", {64}, DType::kF32, offset).PadTo(32).Zeros(512);
  };
  EXPECT_TRUE(ParseBytes(at(256).bytes()));  // a hole before it is the writer's business
  ExpectRejected(at(288), "256 bytes of data expected at byte 352, the file ends at byte 576");
  ExpectRejected(at(UINT64_MAX - 31), "tensor 't': 256 bytes of data expected at byte");
  ExpectRejected(at(uint64_t{1} << 63), "the file ends at byte 576");

  ExpectRejected(OneTensor().Tensor("t", {1}, DType::kI8, 0),
                 "byte 57: tensor data should begin at the next multiple of 32, the file ends at "
                 "byte 57");
}

TEST(GgufReject, DuplicateAndOverlappingTensors) {
  const auto two = [](const char* name, uint64_t first, uint64_t second) {
    return GgufBytes()
        .Header(2, 0)
        .Tensor("a", {64}, DType::kF32, first)
        .Tensor(name, {32}, DType::kF32, second)
        .PadTo(32)
        .Zeros(512);
  };
  ExpectRejected(two("a", 0, 256),
                 "tensor 'a': the tensor is there twice (described again at byte 57)");
  ExpectRejected(two("b", 0, 224), "tensor 'a' at bytes 96..352 overlaps tensor 'b' at byte 320");
  ExpectRejected(two("b", 128, 64), "tensor 'b' at bytes 160..288 overlaps tensor 'a' at byte 224");
  ExpectRejected(two("b", 0, 0), "overlaps");
  EXPECT_TRUE(ParseBytes(two("b", 0, 256).bytes()));
  EXPECT_TRUE(ParseBytes(two("b", 128, 0).bytes()));  // any order of the data
}

TEST(GgufReject, HeaderLimit) {
  GgufLimits limits;
  limits.max_header_bytes = 100;
  const GgufBytes b = OneKey().Key("k", MetaType::kString).Text(std::string(200, 'x'));
  EXPECT_THAT(ParseBytes(b.bytes(), limits).error().message,
              HasSubstr("key 'k': a string value reaches past the header limit of 100 bytes"));
}

}  // namespace
}  // namespace llmrun
