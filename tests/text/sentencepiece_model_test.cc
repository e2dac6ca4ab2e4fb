// SentencePiece models: what is read, and what is damaged or of another kind.
#include "text/sentencepiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace llmrun {
namespace {

std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
  return out + static_cast<char>(value);
}

std::string NumberField(uint32_t number, uint64_t value) {
  return Varint(number << 3) + Varint(value);
}

std::string BytesField(uint32_t number, const std::string& bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + bytes;
}

std::string Piece(const std::string& text, float score, uint64_t type) {
  std::string fixed(4, '\0');
  std::memcpy(fixed.data(), &score, sizeof score);
  return BytesField(1, BytesField(1, text) + Varint(2 << 3 | 5) + fixed + NumberField(3, type));
}

std::string SmallModel(uint64_t kind) {
  return Piece("<unk>", 0, 2) + Piece("<s>", 0, 3) + Piece("<0x41>", 0, 6) +
         BytesField(1, BytesField(1, "ab")) +
         BytesField(2, BytesField(1, "file") + NumberField(3, kind) + NumberField(4, 300)) +
         BytesField(3, BytesField(1, "identity") + NumberField(3, 0) + NumberField(4, 0));
}

TEST(SentencePieceModel, ReadsPiecesAndHowTextIsPrepared) {
  const auto spec = ParseSentencePieceModel(SmallModel(2), "tokenizer.model");
  ASSERT_TRUE(spec) << spec.error().OneLine();
  EXPECT_THAT(spec->tokens, testing::ElementsAre("<unk>", "<s>", "<0x41>", "ab"));
  EXPECT_THAT(spec->types, testing::ElementsAre(TokenType::kUnknown, TokenType::kControl,
                                                TokenType::kByte, TokenType::kNormal));
  EXPECT_EQ(spec->scores.size(), 4U);
  EXPECT_EQ(spec->add_space_prefix, false);
  EXPECT_EQ(spec->remove_extra_whitespaces, false);
  EXPECT_EQ(spec->model, "llama");
}

TEST(SentencePieceModel, RefusesWhatIsDamagedOrOfAnotherKind) {
  const auto unigram = ParseSentencePieceModel(SmallModel(1), "tokenizer.model");
  ASSERT_FALSE(unigram);
  EXPECT_EQ(unigram.error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(ParseSentencePieceModel("", "tokenizer.model"));
  const std::string whole = SmallModel(2);
  for (size_t n = 0; n < whole.size(); ++n) {
    const auto cut = ParseSentencePieceModel(whole.substr(0, n), "tokenizer.model");
    if (cut) continue;  // between two fields
    EXPECT_THAT(cut.error().message, testing::HasSubstr("tokenizer.model: "));
  }
  const auto endless = ParseSentencePieceModel(std::string(20, '\xFF'), "tokenizer.model");
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, ErrorCode::kBadData);
}

}  // namespace
}  // namespace llmrun
