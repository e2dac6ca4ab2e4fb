#include "text/grammar/schema_reference.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "text/grammar/schema_scalars.h"

namespace llmrun {

namespace {

bool IsIndex(const std::string& text) {
  return !text.empty() && text.size() < 8 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}
// JSON pointers write ~ and / as ~0 and ~1.
std::string UnescapePointer(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '~' && i + 1 < name.size()) {
      out += name[++i] == '1' ? '/' : '~';
    } else {
      out += name[i];
    }
  }
  return out;
}

}  // namespace

Result<const SchemaJson*> ResolveReference(const SchemaJson& document,
                                           const SchemaJson& reference) {
  if (!reference.is_string()) return SchemaError("$ref: expected a string");
  const std::string text = reference.get<std::string>();
  if (!text.starts_with('#')) return SchemaError("$ref: '{}' is not in this document", text);
  const SchemaJson* at = &document;
  std::string_view rest = std::string_view(text).substr(1);
  while (!rest.empty()) {
    if (rest[0] != '/') return SchemaError("$ref: '{}' is no path", text);
    const size_t end = std::min(rest.find('/', 1), rest.size());
    const std::string name = UnescapePointer(rest.substr(1, end - 1));
    rest.remove_prefix(end);
    if (at->is_object() && at->contains(name)) {
      at = &(*at)[name];
    } else if (at->is_array() && IsIndex(name) && std::stoul(name) < at->size()) {
      at = &(*at)[std::stoul(name)];
    } else {
      return SchemaError("$ref: there is no '{}'", text);
    }
  }
  return at;
}

}  // namespace llmrun
