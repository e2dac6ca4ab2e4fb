#include "text/spm_tokenizer.h"

#include <algorithm>

#include "text/merge_symbols.h"
#include "text/space_mark.h"
#include "text/tokenizer_check.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

// What files of this kind mean when they leave it out.
void ApplyDefaults(TokenizerSpec* spec) {
  FillCustomaryId(0, *spec, &spec->unk);
  FillCustomaryId(1, *spec, &spec->bos);
  FillCustomaryId(2, *spec, &spec->eos);
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

SpmTokenizer::SpmTokenizer(TokenizerSpec complete)
    : Tokenizer(std::move(complete)), byte_tokens_(spec()) {
  for (const std::string& token : spec().tokens) {
    longest_token_ = std::max(longest_token_, token.size());
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
  MarkSpaces(&escaped);
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
    } else if (!byte_tokens_.Append(all.substr(symbol.begin, symbol.bytes), ids) && spec().unk) {
      ids->push_back(*spec().unk);
    }
  }
}

std::string SpmTokenizer::DecodeNormal(TokenId id) const {
  if (TypeOf(id) == TokenType::kByte) return {static_cast<char>(*ParseByteToken(TextOf(id)))};
  std::string out = TextOf(id);
  UnmarkSpaces(&out);
  return out;
}

}  // namespace llmrun
