// Small vocabularies for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_map.h"
#include "text/tokenizer.h"

namespace llmrun {

inline TokenId AddToken(TokenizerSpec* spec, std::string text, TokenType type = TokenType::kNormal,
                        float score = 0) {
  spec->tokens.push_back(std::move(text));
  spec->types.push_back(type);
  spec->scores.push_back(score);
  return static_cast<TokenId>(spec->tokens.size() - 1);
}

// A byte-level vocabulary: ids 0..255 are the bytes, then one token for each merge in order.
inline TokenizerSpec BytePairSpec(const std::vector<std::string>& merges,
                                  std::string pre = "gpt-2") {
  TokenizerSpec spec;
  spec.model = "gpt2";
  spec.pre = std::move(pre);
  for (int byte = 0; byte < 256; ++byte) {
    AddToken(&spec, std::string(MappedByte(static_cast<uint8_t>(byte))));
  }
  for (const std::string& merge : merges) {
    std::string joined = merge;
    joined.erase(joined.find(' '), 1);
    AddToken(&spec, joined);
    spec.merges.push_back(merge);
  }
  return spec;
}

struct Piece {
  std::string text;
  float score;
};

// A SentencePiece vocabulary: <unk> <s> </s>, bytes 3..258, then the pieces.
inline TokenizerSpec SentencePieceSpec(const std::vector<Piece>& pieces) {
  TokenizerSpec spec;
  spec.model = "llama";
  AddToken(&spec, "<unk>", TokenType::kUnknown);
  AddToken(&spec, "<s>", TokenType::kControl);
  AddToken(&spec, "</s>", TokenType::kControl);
  for (int byte = 0; byte < 256; ++byte) {
    AddToken(&spec, fmt::format("<0x{:02X}>", byte), TokenType::kByte);
  }
  for (const Piece& piece : pieces) AddToken(&spec, piece.text, TokenType::kNormal, piece.score);
  return spec;
}
inline constexpr TokenId kFirstPiece = 259;
inline constexpr TokenId SpmByte(int byte) { return 3 + byte; }

inline std::unique_ptr<Tokenizer> MakeTokenizer(TokenizerSpec spec) {
  auto tokenizer = Tokenizer::Create(std::move(spec));
  if (tokenizer) return *std::move(tokenizer);
  ADD_FAILURE() << tokenizer.error().OneLine();
  return nullptr;
}

// The code of the error that Create() gives; `message` must be part of what it says.
inline ErrorCode CreateError(TokenizerSpec spec, std::string_view message) {
  const auto tokenizer = Tokenizer::Create(std::move(spec));
  if (tokenizer) {
    ADD_FAILURE() << "accepted; expected: " << message;
    return ErrorCode::kInternal;
  }
  EXPECT_NE(tokenizer.error().message.find(message), std::string::npos)
      << tokenizer.error().message;
  return tokenizer.error().code;
}

using Ids = std::vector<TokenId>;

}  // namespace llmrun
