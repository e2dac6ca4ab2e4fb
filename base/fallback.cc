#include "base/fallback.h"

#include <fmt/format.h>

namespace llmrun {

std::string Fallback::OneLine() const {
  std::string line = fmt::format("wanted {}, got {}: {}", wanted, got, why);
  if (!fix.empty()) line += "; fix: " + fix;
  return line;
}

}  // namespace llmrun
