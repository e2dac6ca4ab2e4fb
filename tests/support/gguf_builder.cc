#include "tests/support/gguf_builder.h"

#include <cstring>
#include <fstream>

namespace llmrun {

GgufBytes& GgufBytes::Header(uint64_t n_tensors, uint64_t n_kv, uint32_t version) {
  return Raw("GGUF").U32(version).U64(n_tensors).U64(n_kv);
}

GgufBytes& GgufBytes::Key(std::string_view key, MetaType type) {
  return Text(key).U32(static_cast<uint32_t>(type));
}

GgufBytes& GgufBytes::ArrayHead(MetaType element_type, uint64_t count) {
  return U32(static_cast<uint32_t>(element_type)).U64(count);
}

GgufBytes& GgufBytes::Tensor(std::string_view name, std::vector<uint64_t> dims, DType type,
                             uint64_t offset) {
  Text(name).U32(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) U64(dim);
  return U32(static_cast<uint32_t>(type)).U64(offset);
}

GgufBytes& GgufBytes::Text(std::string_view text) { return U64(text.size()).Raw(text); }

GgufBytes& GgufBytes::Raw(std::string_view bytes) {
  const size_t at = bytes_.size();
  bytes_.resize(at + bytes.size());
  if (!bytes.empty()) std::memcpy(bytes_.data() + at, bytes.data(), bytes.size());
  return *this;
}

GgufBytes& GgufBytes::PadTo(size_t alignment) {
  return Zeros((alignment - bytes_.size() % alignment) % alignment);
}

GgufBytes& GgufBytes::Integer(const void* value, size_t width_bytes) {
  fields_.push_back({bytes_.size(), width_bytes});
  return Raw({static_cast<const char*>(value), width_bytes});
}

Result<GgufFile> ParseBytes(std::span<const std::byte> bytes, const GgufLimits& limits) {
  MemByteSource source(bytes, "test.gguf");
  return ParseGguf(source, limits);
}

bool WriteFile(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return file.flush().good();
}

}  // namespace llmrun
