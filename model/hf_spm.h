// The tokenizer.json of a SentencePiece BPE (Llama 2, Mistral, Gemma), which has merges where
// tokenizer.model has scores.
//
// transformers makes a merge of every way to cut a piece in two, by the scores of the pieces, best
// first: the place of a piece's merges is its score again.
// Threads: pure functions. Failure: kUnavailable, naming it, for steps and orders of merges with
// which text would be cut in other places.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/error.h"
#include "text/tokenizer.h"

namespace llmrun {

bool IsSentencePieceJson(const nlohmann::json& tokenizer);

// Makes a "llama" spec of one that has tokens and merges: the merges become scores; unknown and
// byte tokens get their types, and whether a space is put before a text is read from the
// normalizer or the pre-tokenizer.
Status MakeSentencePiece(const nlohmann::json& tokenizer, const std::string& label,
                         TokenizerSpec* spec);

}  // namespace llmrun
