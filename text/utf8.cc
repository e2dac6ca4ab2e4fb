#include "text/utf8.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/check.h"

namespace llmrun {

namespace {

bool IsContinuation(unsigned char byte) { return (byte & 0xC0U) == 0x80U; }

// Bytes of the character that a lead byte announces; 1 for every other byte.
size_t AnnouncedBytes(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 1;
}

}  // namespace

Utf8Unit Utf8At(std::string_view text, size_t pos) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + pos;
  const size_t available = std::min<size_t>(text.size() - pos, 4);
  utf8proc_int32_t codepoint = -1;
  const utf8proc_ssize_t length =
      utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(available), &codepoint);
  if (length <= 0) return {-1, 1};
  return {codepoint, static_cast<size_t>(length)};
}

void AppendUtf8(int32_t codepoint, std::string* out) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t length = utf8proc_encode_char(codepoint, bytes);
  CHECK(length > 0);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

size_t IncompleteUtf8Tail(std::string_view text) {
  const size_t longest = std::min<size_t>(text.size(), 3);
  for (size_t tail = 1; tail <= longest; ++tail) {
    const auto byte = static_cast<unsigned char>(text[text.size() - tail]);
    if (IsContinuation(byte)) continue;
    return AnnouncedBytes(byte) > tail ? tail : 0;
  }
  return 0;
}

}  // namespace llmrun
