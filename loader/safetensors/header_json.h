// The JSON header of a safetensors file, each tensor checked by itself.
// Threads: no shared state. Failure: kBadData; kUnavailable for tensors of more than kMaxDims.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "loader/gguf/gguf.h"

namespace llmrun {

inline constexpr uint64_t kMaxSafetensorsTensors = uint64_t{1} << 20;

// Adds the header's tensors and "__metadata__" to `file`, whose label is set. A tensor's
// file_offset counts from the beginning of the data here; its bytes are those of its shape.
Status ReadSafetensorsHeader(std::string_view json, uint64_t first_byte, GgufFile* file,
                             uint64_t max_tensors = kMaxSafetensorsTensors);

}  // namespace llmrun
