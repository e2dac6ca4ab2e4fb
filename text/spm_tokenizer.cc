#include "text/spm_tokenizer.h"

#include <algorithm>

#include "text/merge_symbols.h"
#include "text/tokenizer_check.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The byte that a token named <0xNN> stands for.
std::optional<uint8_t> ParseByteToken(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  const int high = HexDigit(text[3]);
  const int low = HexDigit(text[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

void ReplaceAll(std::string_view from, std::string_view to, std::string* text) {
  std::string out;
  size_t begin = 0;
  for (size_t at = text->find(from); at != std::string::npos; at = text->find(from, begin)) {
    out.append(*text, begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  if (begin == 0) return;
  out.append(*text, begin);
  *text = std::move(out);
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

// What files of this kind mean when they leave it out.
void ApplyDefaults(TokenizerSpec* spec) {
  const auto fill = [&](std::optional<TokenId>* id, TokenId customary) {
    if (!*id && static_cast<size_t>(customary) < spec->tokens.size()) *id = customary;
  };
  fill(&spec->unk, 0);
  fill(&spec->bos, 1);
  fill(&spec->eos, 2);
  if (!spec->add_space_prefix) spec->add_space_prefix = true;
  if (spec->types.empty()) {
    for (const std::string& token : spec->tokens) {
      spec->types.push_back(ParseByteToken(token) ? TokenType::kByte : TokenType::kNormal);
    }
  }
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> SpmTokenizer::Create(TokenizerSpec spec) {
  RETURN_IF_ERROR(CheckTokenizerSpec(spec));
  RETURN_IF_ERROR(CheckByteTokens(spec));
  ApplyDefaults(&spec);
  RETURN_IF_ERROR(CheckAddedTokens(spec));
  CompleteTokenizerSpec(/*default_add_bos=*/true, &spec);
  return std::unique_ptr<Tokenizer>(new SpmTokenizer(std::move(spec)));
}

SpmTokenizer::SpmTokenizer(TokenizerSpec spec) : Tokenizer(std::move(spec)) {
  byte_ids_.fill(kNoToken);
  for (size_t i = 0; i < VocabSize(); ++i) {
    const auto id = static_cast<TokenId>(i);
    longest_token_ = std::max(longest_token_, TextOf(id).size());
    if (TypeOf(id) == TokenType::kByte) byte_ids_[*ParseByteToken(TextOf(id))] = id;
  }
}

TokenId SpmTokenizer::FindPlain(std::string_view text) const {
  if (text.size() > longest_token_) return kNoToken;
  const TokenId id = Find(text);
  // A byte token is called <0x0A>; text that reads so is not that byte.
  if (id == kNoToken || IsControl(id) || TypeOf(id) == TokenType::kByte) return kNoToken;
  return id;
}

void SpmTokenizer::EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const {
  std::string escaped = *spec().add_space_prefix ? " " : "";
  escaped += text;
  ReplaceAll(" ", kSpace, &escaped);
  const std::string_view all = escaped;

  MergeScratch scratch;
  for (size_t pos = 0; pos < all.size();) {
    const size_t bytes = Utf8At(all, pos).bytes;
    scratch.Append(FindPlain(all.substr(pos, bytes)), pos, bytes);
    pos += bytes;
  }
  MergeSymbols(
      [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
        const TokenId id = FindPlain(all.substr(left.begin, left.bytes + right.bytes));
        if (id == kNoToken) return std::nullopt;
        const auto index = static_cast<size_t>(id);
        return Merge{spec().scores.empty() ? 0.0 : -double{spec().scores[index]}, id};
      },
      &scratch);
  for (size_t i = 0; i != kNoSymbol; i = scratch.symbols[i].next) {
    const Symbol& symbol = scratch.symbols[i];
    if (symbol.id != kNoToken) {
      ids->push_back(symbol.id);
    } else {
      AppendBytes(all.substr(symbol.begin, symbol.bytes), ids);
    }
  }
}

// One character, as its bytes; as one unknown token when any of them has no token.
void SpmTokenizer::AppendBytes(std::string_view bytes, std::vector<TokenId>* ids) const {
  const auto token_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  const bool complete = std::all_of(bytes.begin(), bytes.end(),
                                    [&](char byte) { return token_of(byte) != kNoToken; });
  if (complete) {
    for (const char byte : bytes) ids->push_back(token_of(byte));
  } else if (spec().unk) {
    ids->push_back(*spec().unk);
  }
}

std::string SpmTokenizer::DecodeNormal(TokenId id) const {
  if (TypeOf(id) == TokenType::kByte) return {static_cast<char>(*ParseByteToken(TextOf(id)))};
  std::string out = TextOf(id);
  ReplaceAll(kSpace, " ", &out);
  return out;
}

}  // namespace llmrun
