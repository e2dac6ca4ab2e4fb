#include "text/byte_tokens.h"

#include <algorithm>

namespace llmrun {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<uint8_t> ParseByteToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = HexDigit(text[3]);
  const int low = HexDigit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

Status CheckByteTokens(const TokenizerSpec& spec) {
  for (size_t i = 0; i < spec.types.size(); ++i) {
    if (spec.types[i] == TokenType::kByte && !ParseByteToken(spec.tokens[i])) {
      return MakeError(ErrorCode::kBadData,
                       "tokenizer: token {} has the type of a byte but is named '{}', not <0xNN>",
                       i, spec.tokens[i].substr(0, 32));
    }
  }
  return {};
}

ByteTokens::ByteTokens(const TokenizerSpec& spec) {
  ids_.fill(kNoToken);
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.types[i] != TokenType::kByte) continue;
    ids_[*ParseByteToken(spec.tokens[i])] = static_cast<TokenId>(i);
  }
}

bool ByteTokens::Append(std::string_view bytes, std::vector<TokenId>* ids) const {
  const auto token_of = [&](char byte) { return ids_[static_cast<unsigned char>(byte)]; };
  const bool complete = std::all_of(bytes.begin(), bytes.end(),
                                    [&](char byte) { return token_of(byte) != kNoToken; });
  if (!complete) return false;
  for (const char byte : bytes) ids->push_back(token_of(byte));
  return true;
}

}  // namespace llmrun
