// People point a loader at the wrong file in a few well-known ways; this says which.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace llmrun {

struct WrongFormat {
  std::string what;  // "a Git LFS pointer, not the model itself"
  std::string fix;   // "git lfs pull"; may be empty
};

// What a file is whose first bytes (up to kWrongFormatHeadBytes) are not those of a GGUF.
inline constexpr size_t kWrongFormatHeadBytes = 64;
WrongFormat RecognizeWrongFormat(std::span<const std::byte> head);

// Whether a file with these first bytes is meant to be read by loader/safetensors.
bool LooksLikeSafetensors(std::span<const std::byte> head);

}  // namespace llmrun
