// What Tokenizer::Create() does before it builds anything: refuse specs that contradict themselves,
// and fill in what a file may leave out. Threads: no state.
#pragma once

#include <optional>

#include "base/error.h"
#include "text/tokenizer.h"

namespace llmrun {

// No token is longer than this; a damaged file must not make every look-up slow.
inline constexpr size_t kMaxTokenBytes = 16384;

// kBadData: no tokens, arrays of different lengths, scores that are NaN, a token longer than
// kMaxTokenBytes, bos, eos, unk or eot outside the vocabulary.
Status CheckTokenizerSpec(const TokenizerSpec& spec);

// kBadData: the file asks to add a BOS or EOS but names none.
Status CheckAddedTokens(const TokenizerSpec& spec);

// A token that the file does not name is the customary one of its kind, if there is such a token.
void FillCustomaryId(TokenId customary, const TokenizerSpec& spec, std::optional<TokenId>* id);

// Takes out a sep or pad outside the vocabulary: some published files have wrong ones.
void DropUnusableIds(TokenizerSpec* spec);

// `default_add_bos`: whether a BOS is added when the file does not say and names one.
void CompleteTokenizerSpec(bool default_add_bos, TokenizerSpec* spec);

}  // namespace llmrun
