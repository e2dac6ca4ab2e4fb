// Reads the vocabulary of a SentencePiece model (tokenizer.model).
// Format: protocol buffers, sentencepiece_model.proto of the SentencePiece project: field 1 the
// pieces (1 text, 2 score, 3 type), field 2 the trainer (3 the kind: 2 is BPE), field 3 the
// normalizer (3 whether a space is put before a text, 4 whether runs of spaces become one).
//
// Threads: pure function. Failure: kBadData, naming the byte; kUnavailable for kinds other than
// BPE.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "text/tokenizer.h"

namespace llmrun {

// Fills tokens, scores, types, add_space_prefix and remove_extra_whitespaces of a "llama" spec.
Result<TokenizerSpec> ParseSentencePieceModel(std::string_view bytes, const std::string& label);

}  // namespace llmrun
