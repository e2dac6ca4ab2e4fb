// The bytes of a session file, put together by hand from its parts.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "model/session_format.h"

namespace llmrun {

inline std::vector<std::byte> SessionBytes(const SessionHeader& header,
                                           std::span<const TokenId> tokens, std::string_view note,
                                           const ByteRuns& runs) {
  std::vector<std::byte> file;
  const auto add = [&](std::span<const std::byte> bytes) {
    file.insert(file.end(), bytes.begin(), bytes.end());
  };
  add(std::as_bytes(std::span(&header, 1)));
  add(std::as_bytes(tokens));
  add(std::as_bytes(std::span(note)));
  for (const auto& run : runs) add(run);
  return file;
}

}  // namespace llmrun
