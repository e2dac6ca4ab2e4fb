#include "model/chat_template_source.h"

#include <fmt/format.h>

namespace llmrun {

Result<std::optional<std::string>> ChatTemplateSource(const Metadata& metadata,
                                                      std::string_view name) {
  std::string key = "tokenizer.chat_template";
  if (!name.empty()) key += fmt::format(".{}", name);
  if (metadata.Find(key) == nullptr) return std::optional<std::string>();
  ASSIGN_OR_RETURN(const std::string_view source, metadata.GetString(key));
  return std::optional<std::string>(source);
}

}  // namespace llmrun
