#include "text/charsmap.h"

namespace llmrun {

namespace {

// The format is little-endian on every machine.
uint32_t UnitAt(std::string_view bytes, size_t pos) {
  uint32_t unit = 0;
  for (size_t i = 0; i < 4; ++i) {
    unit |= uint32_t{static_cast<unsigned char>(bytes[pos + i])} << (8 * i);
  }
  return unit;
}

// A unit of the array: the byte that leads to it (bits 0-7, and 31 clear), whether a string ends
// with it (8), and how far its children lie away (10-30, times 256 when bit 9 is set).
bool IsLink(uint32_t unit, unsigned char byte) { return (unit & 0x800000FFU) == byte; }
bool HasValue(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << (unit >> 6 & 8); }
// Of the unit that Offset() leads to without a byte.
uint32_t Value(uint32_t unit) { return unit & 0x7FFFFFFFU; }

}  // namespace

Result<Charsmap> Charsmap::Parse(std::string_view bytes) {
  Charsmap map;
  if (bytes.empty()) return map;
  const size_t array_bytes = bytes.size() < 4 ? 0 : UnitAt(bytes, 0);
  if (bytes.size() < 4 || array_bytes % 4 != 0 || array_bytes >= bytes.size() - 4) {
    return MakeError(ErrorCode::kBadData,
                     "tokenizer: precompiled_charsmap of {} bytes says its array has {}",
                     bytes.size(), array_bytes);
  }
  if (bytes.back() != '\0') {
    return MakeError(ErrorCode::kBadData,
                     "tokenizer: the last string of precompiled_charsmap does not end");
  }
  map.units_.reserve(array_bytes / 4);
  for (size_t i = 0; i < array_bytes; i += 4) map.units_.push_back(UnitAt(bytes, 4 + i));
  map.strings_ = bytes.substr(4 + array_bytes);
  return map;
}

Charsmap::Replacement Charsmap::LongestAt(std::string_view text, size_t pos) const {
  Replacement longest;
  if (units_.empty()) return longest;
  uint32_t node = Offset(units_[0]);
  for (size_t i = pos; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (byte == 0 || node >= units_.size() || !IsLink(units_[node], byte)) break;
    const uint32_t unit = units_[node];
    node ^= Offset(unit);
    if (!HasValue(unit) || node >= units_.size()) continue;
    const uint32_t begin = Value(units_[node]);
    if (begin >= strings_.size()) continue;
    const size_t end = strings_.find('\0', begin);
    longest = {std::string_view(strings_).substr(begin, end - begin), i + 1 - pos};
  }
  return longest;
}

}  // namespace llmrun
