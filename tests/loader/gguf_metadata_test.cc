// Every metadata type through the parser, and the getters.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "loader/gguf/gguf_writer.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

template <typename T>
void ExpectValue(const Metadata& metadata, const char* key, MetaType type, const T& value) {
  const MetaEntry* entry = metadata.Find(key);
  ASSERT_NE(entry, nullptr) << key;
  EXPECT_EQ(entry->type, type) << key;
  ASSERT_TRUE(std::holds_alternative<T>(entry->value)) << key;
  EXPECT_EQ(std::get<T>(entry->value), value) << key;
}

TEST(GgufMetadata, ReadsEveryScalarType) {
  GgufBytes b;
  b.Header(0, 12);
  b.Key("u8", MetaType::kUint8).Value<uint8_t>(0xfe);
  b.Key("i8", MetaType::kInt8).Value<int8_t>(-2);
  b.Key("u16", MetaType::kUint16).Value<uint16_t>(0xfffe);
  b.Key("i16", MetaType::kInt16).Value<int16_t>(-3);
  b.Key("u32", MetaType::kUint32).Value<uint32_t>(0xfffffffe);
  b.Key("i32", MetaType::kInt32).Value<int32_t>(-4);
  b.Key("f32", MetaType::kFloat32).Value(1.5F);
  b.Key("bool", MetaType::kBool).Value<uint8_t>(1);
  b.Key("string", MetaType::kString).Text(std::string_view("two\0bytes", 9));
  b.Key("u64", MetaType::kUint64).Value<uint64_t>(UINT64_MAX - 1);
  b.Key("i64", MetaType::kInt64).Value<int64_t>(INT64_MIN);
  b.Key("f64", MetaType::kFloat64).Value(-2.25);
  for (const uint32_t version : {2U, 3U}) {
    std::vector<std::byte> bytes = b.bytes();
    bytes[4] = static_cast<std::byte>(version);
    const Result<GgufFile> file = ParseBytes(bytes);
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->version, version);
    EXPECT_EQ(file->data_offset, file->file_bytes);
    const Metadata& m = file->metadata;
    ASSERT_EQ(m.entries().size(), 12U);
    EXPECT_EQ(m.entries()[7].key, "bool");
    ExpectValue<uint8_t>(m, "u8", MetaType::kUint8, 0xfe);
    ExpectValue<int8_t>(m, "i8", MetaType::kInt8, -2);
    ExpectValue<uint16_t>(m, "u16", MetaType::kUint16, 0xfffe);
    ExpectValue<int16_t>(m, "i16", MetaType::kInt16, -3);
    ExpectValue<uint32_t>(m, "u32", MetaType::kUint32, 0xfffffffe);
    ExpectValue<int32_t>(m, "i32", MetaType::kInt32, -4);
    ExpectValue<float>(m, "f32", MetaType::kFloat32, 1.5F);
    ExpectValue<bool>(m, "bool", MetaType::kBool, true);
    ExpectValue<std::string>(m, "string", MetaType::kString, std::string("two\0bytes", 9));
    ExpectValue<uint64_t>(m, "u64", MetaType::kUint64, UINT64_MAX - 1);
    ExpectValue<int64_t>(m, "i64", MetaType::kInt64, INT64_MIN);
    ExpectValue<double>(m, "f64", MetaType::kFloat64, -2.25);
  }
}

template <typename T>
void ExpectArrayRoundTrip(MetaType type, std::vector<T> elements) {
  GgufWriter writer;
  writer.Add("a", MetaType::kArray, MetaArray{type, elements});
  writer.AddUint32("after", 7);
  const Result<GgufFile> file = ParseBytes(writer.Header());
  ASSERT_TRUE(file) << file.error().message;
  const MetaArray* array = file->metadata.GetArray("a").value();
  EXPECT_EQ(array->element_type, type);
  EXPECT_EQ(array->size(), elements.size());
  ASSERT_TRUE(std::holds_alternative<std::vector<T>>(array->data));
  EXPECT_EQ(std::get<std::vector<T>>(array->data), elements);
  EXPECT_EQ(file->metadata.GetUint("after").value(), 7U);
}

TEST(GgufMetadata, ReadsArraysOfEveryType) {
  ExpectArrayRoundTrip<uint8_t>(MetaType::kUint8, {0, 255});
  ExpectArrayRoundTrip<int8_t>(MetaType::kInt8, {-128, 127});
  ExpectArrayRoundTrip<uint16_t>(MetaType::kUint16, {1, 65535});
  ExpectArrayRoundTrip<int16_t>(MetaType::kInt16, {-32768, 2});
  ExpectArrayRoundTrip<uint32_t>(MetaType::kUint32, {0, UINT32_MAX});
  ExpectArrayRoundTrip<int32_t>(MetaType::kInt32, {INT32_MIN, 1});
  ExpectArrayRoundTrip<float>(MetaType::kFloat32, {0.5F, -1e30F});
  ExpectArrayRoundTrip<uint8_t>(MetaType::kBool, {1, 0, 1});
  ExpectArrayRoundTrip<std::string>(MetaType::kString, {"", "a", std::string(5000, 'x')});
  ExpectArrayRoundTrip<uint64_t>(MetaType::kUint64, {UINT64_MAX});
  ExpectArrayRoundTrip<int64_t>(MetaType::kInt64, {INT64_MIN, INT64_MAX});
  ExpectArrayRoundTrip<double>(MetaType::kFloat64, {1e300});
  ExpectArrayRoundTrip<uint32_t>(MetaType::kUint32, {});
}

TEST(GgufMetadata, ArrayLargerThanTheReadBuffer) {
  std::vector<uint32_t> elements(700'000);  // 2.8 MB
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<uint32_t>(i * 2654435761U);
  ExpectArrayRoundTrip<uint32_t>(MetaType::kUint32, elements);
}

TEST(GgufMetadata, IntegersOfAnyWidthAndNothingElse) {
  Metadata m("x.gguf");
  EXPECT_TRUE(m.Add({"i8", MetaType::kInt8, int8_t{5}}));
  EXPECT_TRUE(m.Add({"u64", MetaType::kUint64, UINT64_MAX}));
  EXPECT_TRUE(m.Add({"minus", MetaType::kInt32, int32_t{-1}}));
  EXPECT_TRUE(m.Add({"f", MetaType::kFloat32, 2.0F}));
  EXPECT_TRUE(m.Add({"b", MetaType::kBool, true}));
  EXPECT_TRUE(m.Add({"s", MetaType::kString, std::string("7")}));
  EXPECT_TRUE(m.Add({"a", MetaType::kArray, MetaArray{MetaType::kInt32, std::vector<int32_t>{7}}}));
  EXPECT_EQ(m.GetUint("i8").value(), 5U);
  EXPECT_EQ(m.GetUint("u64").value(), UINT64_MAX);
  EXPECT_EQ(m.GetUint("minus").error().message,
            "x.gguf: key 'minus': expected an integer of at least 0, found i32 -1");
  EXPECT_EQ(m.GetUint("f").error().message,
            "x.gguf: key 'f': expected an integer of at least 0, found f32 2");
  EXPECT_EQ(m.GetUint("b").error().message,
            "x.gguf: key 'b': expected an integer of at least 0, found bool true");
  EXPECT_EQ(m.GetUint("s").error().message,
            "x.gguf: key 's': expected an integer of at least 0, found string");
  EXPECT_EQ(m.GetUint("a").error().message,
            "x.gguf: key 'a': expected an integer of at least 0, found array of 1 i32");
  EXPECT_EQ(m.GetUint("none").error().message, "x.gguf: key 'none' is missing");
  EXPECT_EQ(m.GetUint("none").error().code, ErrorCode::kBadData);
  EXPECT_EQ(m.GetUintOr("none", 3).value(), 3U);
  EXPECT_EQ(m.GetUintOr("i8", 3).value(), 5U);
  EXPECT_FALSE(m.GetUintOr("s", 3));
}

TEST(GgufMetadata, OtherGetters) {
  Metadata m;
  EXPECT_TRUE(m.Add({"f32", MetaType::kFloat32, 0.5F}));
  EXPECT_TRUE(m.Add({"f64", MetaType::kFloat64, 1e-5}));
  EXPECT_TRUE(m.Add({"i", MetaType::kInt16, int16_t{-9}}));
  EXPECT_TRUE(m.Add({"b", MetaType::kBool, true}));
  EXPECT_TRUE(m.Add({"s", MetaType::kString, std::string("text")}));
  EXPECT_EQ(m.GetFloat("f32").value(), 0.5);
  EXPECT_EQ(m.GetFloat("f64").value(), 1e-5);
  EXPECT_EQ(m.GetFloat("i").value(), -9.0);
  EXPECT_FALSE(m.GetFloat("b"));
  EXPECT_FALSE(m.GetFloat("none"));
  EXPECT_EQ(m.GetFloatOr("none", 2.0).value(), 2.0);
  EXPECT_FALSE(m.GetFloatOr("s", 2.0));
  EXPECT_TRUE(m.GetBoolOr("b", false).value());
  EXPECT_TRUE(m.GetBoolOr("none", true).value());
  EXPECT_EQ(m.GetBoolOr("i", true).error().message, "key 'i': expected a bool, found i16 -9");
  EXPECT_EQ(m.GetString("s").value(), "text");
  EXPECT_THAT(m.GetString("b").error().message, HasSubstr("expected a string, found bool true"));
  EXPECT_THAT(m.GetArray("s").error().message, HasSubstr("expected an array, found string"));
}

TEST(GgufMetadata, AddRefusesTheSecondOfAKeyAndSurvivesCopies) {
  Metadata m;
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(m.Add({fmt::format("key{}", i), MetaType::kUint32, i}));
  }
  EXPECT_FALSE(m.Add({"key500", MetaType::kUint32, 1U}));
  const Metadata copy = m;
  m = Metadata();
  EXPECT_EQ(m.Find("key1"), nullptr);
  EXPECT_EQ(copy.entries().size(), 1000U);
  for (uint32_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(copy.GetUint(fmt::format("key{}", i)).value(), i);
  }
}

TEST(GgufMetadata, TypeNames) {
  EXPECT_EQ(NameOf(MetaType::kUint8), "u8");
  EXPECT_EQ(NameOf(MetaType::kString), "string");
  EXPECT_EQ(NameOf(MetaType::kFloat64), "f64");
  EXPECT_EQ(NameOf(static_cast<MetaType>(99)), "unknown");
}

}  // namespace
}  // namespace llmrun
