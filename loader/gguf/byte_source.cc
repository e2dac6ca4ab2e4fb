#include "loader/gguf/byte_source.h"

#include <cstring>

#include "base/check.h"

namespace llmrun {

Status MemByteSource::ReadAt(uint64_t offset, std::span<std::byte> out) {
  CHECK(offset <= bytes_.size() && out.size() <= bytes_.size() - offset);
  if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  return {};
}

}  // namespace llmrun
