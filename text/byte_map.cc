#include "text/byte_map.h"

#include <array>

#include "text/utf8.h"

namespace llmrun {

namespace {

constexpr int32_t kFirstStandIn = 0x100;
constexpr int32_t kStandIns = 68;

bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteMap {
  struct Character {
    char utf8[2];
    uint8_t bytes;
  };
  std::array<Character, 256> to_text;
  std::array<int, kFirstStandIn + kStandIns> to_byte;  // [code point]; -1: not in the map

  ByteMap() {
    to_byte.fill(-1);
    int32_t stand_in = kFirstStandIn;
    for (int byte = 0; byte < 256; ++byte) {
      const int32_t codepoint = StandsForItself(byte) ? byte : stand_in++;
      std::string utf8;
      AppendUtf8(codepoint, &utf8);  // one or two bytes: below U+0800
      Character& character = to_text[static_cast<size_t>(byte)];
      character.bytes = static_cast<uint8_t>(utf8.copy(character.utf8, 2));
      to_byte[static_cast<size_t>(codepoint)] = byte;
    }
  }
};

const ByteMap& Map() {
  static const ByteMap map;
  return map;
}

}  // namespace

std::string_view MappedByte(uint8_t byte) {
  const ByteMap::Character& character = Map().to_text[byte];
  return {character.utf8, character.bytes};
}

std::string MapBytes(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) out += MappedByte(static_cast<uint8_t>(byte));
  return out;
}

std::string UnmapBytes(std::string_view mapped) {
  const ByteMap& map = Map();
  std::string out;
  for (size_t pos = 0; pos < mapped.size();) {
    const Utf8Unit unit = Utf8At(mapped, pos);
    const auto index = static_cast<size_t>(unit.codepoint);  // -1 lies outside, too
    if (index < map.to_byte.size() && map.to_byte[index] >= 0) {
      out += static_cast<char>(map.to_byte[index]);
    } else {
      out += mapped.substr(pos, unit.bytes);
    }
    pos += unit.bytes;
  }
  return out;
}

}  // namespace llmrun
