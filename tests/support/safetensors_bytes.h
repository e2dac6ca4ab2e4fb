// Safetensors files for tests: a header, as it is given, and data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace llmrun {

// `data_bytes` bytes 0, 1, 2, ... behind the header.
inline std::vector<std::byte> SafetensorsBytes(std::string_view header, size_t data_bytes) {
  const uint64_t header_bytes = header.size();
  std::vector<std::byte> bytes(sizeof header_bytes + header.size() + data_bytes);
  std::memcpy(bytes.data(), &header_bytes, sizeof header_bytes);
  std::memcpy(bytes.data() + sizeof header_bytes, header.data(), header.size());
  for (size_t i = 0; i < data_bytes; ++i) {
    bytes[bytes.size() - data_bytes + i] = static_cast<std::byte>(i);
  }
  return bytes;
}

// {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
inline std::string SafetensorsEntry(const std::string& dtype, const std::string& shape,
                                    uint64_t begin, uint64_t end) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

}  // namespace llmrun
