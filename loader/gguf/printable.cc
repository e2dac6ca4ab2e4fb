#include "loader/gguf/printable.h"

#include <fmt/format.h>

#include <iterator>

namespace llmrun {

std::string Quoted(std::string_view name) {
  constexpr size_t kMaxShown = 96;
  std::string out = "'";
  for (const char c : name.substr(0, kMaxShown)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() <= kMaxShown) return out + "'";
  return fmt::format("{}...' ({} bytes)", out, name.size());
}

}  // namespace llmrun
