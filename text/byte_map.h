// The GPT-2 byte map: every byte as one printable character, so that a byte-level vocabulary can be
// written as text. Printable Latin-1 bytes stand for themselves; the other 68 for U+0100 onwards in
// their order. Source: Radford et al. 2019 (the released GPT-2 encoder).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llmrun {

// The character (UTF-8) that stands for a byte.
std::string_view MappedByte(uint8_t byte);
// The bytes as a vocabulary writes them.
std::string MapBytes(std::string_view bytes);
// The reverse; a character outside the map stays as it is.
std::string UnmapBytes(std::string_view mapped);

}  // namespace llmrun
