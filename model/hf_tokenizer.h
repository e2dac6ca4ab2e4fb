// The tokenizer of a Hugging Face checkpoint as the tokenizer.* metadata of a GGUF: byte-level BPE
// of tokenizer.json, whose pre-tokenizer is recognized by its regular expression, or the
// SentencePiece BPE of tokenizer.model.
//
// Threads: pure function. Failure: kBadData for files that are not what they should be;
// kUnavailable, naming it, for a pre-tokenizer that is not known: text would be cut in other
// places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/gguf/metadata.h"

namespace llmrun {

// The texts of the files; empty where there is none.
struct HfTokenizerFiles {
  std::string folder;              // names them in errors
  std::string tokenizer = {};      // tokenizer.json
  std::string sentencepiece = {};  // tokenizer.model
  std::string config = {};         // tokenizer_config.json
  std::string chat_template = {};  // chat_template.jinja, which beats the one in the config
};

struct HfTokenizerFacts {
  size_t n_vocab = 0;               // rows of the embeddings
  std::optional<int64_t> bos, eos;  // where tokenizer_config.json names none
};

Result<std::vector<MetaEntry>> ConvertHfTokenizer(const HfTokenizerFiles& files,
                                                  const HfTokenizerFacts& facts);

}  // namespace llmrun
