// What WordPiece does before it looks anything up: control characters and stray bytes are dropped,
// white space separates words, each punctuation mark and each CJK ideograph is a word of its own,
// letters lose their case and their accents.
//
// Source: Devlin et al. 2019 (the released BERT tokenizer). Threads: no state.
#pragma once

#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace llmrun {

struct BertNormalization {
  bool lowercase = true;
  bool strip_accents = true;
};

// Calls on_word for each word; the view is valid during the call only.
void ForEachBertWord(std::string_view text, BertNormalization normalization,
                     FunctionRef<void(std::string_view word)> on_word);

}  // namespace llmrun
