// Fills a TokenizerSpec from the tokenizer.ggml.* metadata of a GGUF.
// Failure: kBadData when tokenizer.ggml.tokens or .model are missing or of another type.
#pragma once

#include "base/error.h"
#include "loader/gguf/metadata.h"
#include "text/tokenizer.h"

namespace llmrun {

Result<TokenizerSpec> TokenizerSpecFromMetadata(const Metadata& metadata);

}  // namespace llmrun
