#include "text/tokenizer_check.h"

#include <cmath>
#include <limits>

namespace llmrun {

namespace {

bool InRange(TokenId id, const TokenizerSpec& spec) {
  return id >= 0 && static_cast<size_t>(id) < spec.tokens.size();
}

Status CheckId(const char* name, std::optional<TokenId> id, const TokenizerSpec& spec) {
  if (id && !InRange(*id, spec)) {
    return MakeError(ErrorCode::kBadData, "tokenizer: {} token {} is outside the vocabulary of {}",
                     name, *id, spec.tokens.size());
  }
  return {};
}

Status CheckCount(const char* name, size_t found, size_t expected) {
  if (found != 0 && found != expected) {
    return MakeError(ErrorCode::kBadData, "tokenizer: {} {} for {} tokens", found, name, expected);
  }
  return {};
}

Status CheckAdded(const char* name, std::optional<bool> add, std::optional<TokenId> id) {
  if (add.value_or(false) && !id) {
    return MakeError(ErrorCode::kBadData, "tokenizer: asks to add a {} token but names none", name);
  }
  return {};
}

}  // namespace

Status CheckTokenizerSpec(const TokenizerSpec& spec) {
  if (spec.tokens.empty()) return MakeError(ErrorCode::kBadData, "tokenizer: no tokens");
  if (spec.tokens.size() > size_t{std::numeric_limits<TokenId>::max()}) {
    return MakeError(ErrorCode::kBadData, "tokenizer: {} tokens, at most {} can be numbered",
                     spec.tokens.size(), std::numeric_limits<TokenId>::max());
  }
  RETURN_IF_ERROR(CheckCount("scores", spec.scores.size(), spec.tokens.size()));
  RETURN_IF_ERROR(CheckCount("types", spec.types.size(), spec.tokens.size()));
  for (size_t i = 0; i < spec.tokens.size(); ++i) {
    if (spec.tokens[i].size() > kMaxTokenBytes) {
      return MakeError(ErrorCode::kBadData, "tokenizer: token {} has {} bytes, at most {} allowed",
                       i, spec.tokens[i].size(), kMaxTokenBytes);
    }
  }
  for (size_t i = 0; i < spec.scores.size(); ++i) {
    if (std::isnan(spec.scores[i])) {
      return MakeError(ErrorCode::kBadData, "tokenizer: the score of token {} is NaN", i);
    }
  }
  RETURN_IF_ERROR(CheckId("BOS", spec.bos, spec));
  RETURN_IF_ERROR(CheckId("EOS", spec.eos, spec));
  RETURN_IF_ERROR(CheckId("unknown", spec.unk, spec));
  RETURN_IF_ERROR(CheckId("EOT", spec.eot, spec));
  return {};
}

Status CheckAddedTokens(const TokenizerSpec& spec) {
  RETURN_IF_ERROR(CheckAdded("BOS", spec.add_bos, spec.bos));
  return CheckAdded("EOS", spec.add_eos, spec.eos);
}

void FillCustomaryId(TokenId customary, const TokenizerSpec& spec, std::optional<TokenId>* id) {
  if (!*id && InRange(customary, spec)) *id = customary;
}

void DropUnusableIds(TokenizerSpec* spec) {
  for (std::optional<TokenId>* const id : {&spec->sep, &spec->pad}) {
    if (*id && !InRange(**id, *spec)) id->reset();
  }
}

void CompleteTokenizerSpec(bool default_add_bos, TokenizerSpec* spec) {
  DropUnusableIds(spec);
  if (spec->types.empty()) spec->types.assign(spec->tokens.size(), TokenType::kNormal);
  if (!spec->add_bos) spec->add_bos = default_add_bos && spec->bos.has_value();
  if (!spec->add_eos) spec->add_eos = false;
  spec->add_sep = spec->model == "bert" && spec->add_sep.value_or(true) && spec->sep.has_value();
}

}  // namespace llmrun
