// Importance matrices in both formats, and damaged ones.
#include "model/importance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

Result<ImportanceMatrix> ParseImportance(std::span<const std::byte> bytes) {
  MemByteSource source(bytes, "test.imatrix");
  return ImportanceMatrix::Parse(source);
}

GgufBytes DatEntry(std::string_view name, int32_t calls, const std::vector<float>& sums) {
  GgufBytes out;
  out.Value(static_cast<int32_t>(name.size())).Raw(name).Value(calls);
  out.Value(static_cast<int32_t>(sums.size()));
  for (const float sum : sums) out.Value(sum);
  return out;
}

GgufBytes DatFile(int32_t entries, const GgufBytes& entry) {
  GgufBytes out;
  out.Value(entries);
  const auto* chars = reinterpret_cast<const char*>(entry.bytes().data());
  out.Raw({chars, entry.bytes().size()});
  return out;
}

TEST(Importance, ReadsTheOlderFormat) {
  GgufBytes file = DatFile(1, DatEntry("blk.0.ffn_up.weight", 4, {4, 8, 0, 2}));
  file.Value(int32_t{7}).Value(int32_t{4}).Raw("text");  // calls and data set: not needed
  const auto matrix = ParseImportance(file.bytes());
  ASSERT_TRUE(matrix) << matrix.error().OneLine();
  EXPECT_EQ(matrix->size(), 1U);
  const float* const row = matrix->Find("blk.0.ffn_up.weight", 4, 0, 1).value();
  EXPECT_THAT(std::vector<float>(row, row + 4), testing::ElementsAre(1, 2, 0, 0.5));
  EXPECT_EQ(matrix->Find("blk.1.ffn_up.weight", 4, 0, 1).value(), nullptr);
  const auto other = matrix->Find("blk.0.ffn_up.weight", 8, 0, 1);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kBadData);
}

std::vector<std::byte> GgufImportance(bool with_counts, std::vector<float> counts) {
  GgufBytes out;
  out.Header(with_counts ? 2 : 1, 1).Key("general.type", MetaType::kString).Text("imatrix");
  out.Tensor("blk.0.ffn_up_exps.weight.in_sum2", {2, 2}, DType::kF32, 0);
  if (with_counts) {
    out.Tensor("blk.0.ffn_up_exps.weight.counts", {1, counts.size()}, DType::kF32, 32);
  }
  out.PadTo(32);
  for (const float sum : {4.0F, 6.0F, 5.0F, 7.0F}) out.Value(sum);
  out.PadTo(32);
  for (const float count : counts) out.Value(count);
  out.PadTo(32);
  return out.bytes();
}

TEST(Importance, ReadsGgufWithARowAnExpert) {
  const auto matrix = ParseImportance(GgufImportance(true, {2, 0}));
  ASSERT_TRUE(matrix) << matrix.error().OneLine();
  const float* const first = matrix->Find("blk.0.ffn_up_exps.weight", 2, 0, 2).value();
  EXPECT_THAT(std::vector<float>(first, first + 2), testing::ElementsAre(2, 3));
  const float* const unused = matrix->Find("blk.0.ffn_up_exps.weight", 2, 1, 2).value();
  EXPECT_THAT(std::vector<float>(unused, unused + 2), testing::ElementsAre(1, 1));
}

TEST(Importance, RefusesWhatIsDamaged) {
  const auto message = [](const std::vector<std::byte>& bytes) {
    const auto matrix = ParseImportance(bytes);
    return matrix ? std::string() : matrix.error().message;
  };
  using testing::HasSubstr;
  EXPECT_THAT(message(GgufImportance(false, {})), HasSubstr("sums, but no counts"));
  EXPECT_THAT(message(GgufImportance(true, {1, 1, 1})), HasSubstr("4 sums of 3 matrices"));
  EXPECT_THAT(message({}), HasSubstr("0 bytes"));
  EXPECT_THAT(message(DatFile(0, {}).bytes()), HasSubstr("no entries"));
  EXPECT_THAT(message(DatFile(-1, {}).bytes()), HasSubstr("is -1, at byte 0"));
  EXPECT_THAT(message(DatFile(1, DatEntry("a", 1, {-1})).bytes()), HasSubstr("column 0 is -1"));
  EXPECT_THAT(message(DatFile(2, DatEntry("a", 1, {1})).bytes()), HasSubstr("expected at byte"));
  EXPECT_THAT(message(DatFile(1, DatEntry(std::string(300, 'a'), 1, {1})).bytes()),
              HasSubstr("300 bytes"));
  const std::vector<std::byte> whole = DatFile(1, DatEntry("name", 2, {1, 2, 3})).bytes();
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(ParseImportance(std::span(whole).first(n))) << n;
  }
}

}  // namespace
}  // namespace llmrun
