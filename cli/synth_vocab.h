// The tokenizer of synthetic models: SentencePiece-like, with <unk>, <s>, </s>, one token for each
// byte, and as many made-up pieces as the vocabulary needs. Every text can be encoded with it.
#pragma once

#include <cstdint>

#include "loader/gguf/gguf_writer.h"

namespace llmrun {

inline constexpr uint32_t kSynthVocabLeast = 3 + 256;  // control tokens and bytes

// Adds the tokenizer.ggml.* keys. Requires: n_vocab >= kSynthVocabLeast.
void AddSynthVocab(uint32_t n_vocab, GgufWriter& writer);

}  // namespace llmrun
