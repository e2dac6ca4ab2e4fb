// The chat templates that come with a model, in the metadata of its file.
// Threads: pure functions. Failure: kBadData when the key is there and no string.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "loader/gguf/metadata.h"

namespace llmrun {

// tokenizer.chat_template, or tokenizer.chat_template.NAME; nullopt when there is none.
Result<std::optional<std::string>> ChatTemplateSource(const Metadata& metadata,
                                                      std::string_view name = {});

}  // namespace llmrun
