// The two parts of a GGUF header, read by ParseGguf() one after the other. Internal to this folder.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "loader/gguf/cursor.h"
#include "loader/gguf/gguf.h"

namespace llmrun {

// The least that an entry takes in the file. Of a key: its length, one byte, type, one byte of
// value; of a tensor: length of the name, one byte, number of dimensions, one dimension, type,
// offset.
inline constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;
inline constexpr uint64_t kMinDescriptionBytes = 8 + 1 + 4 + 8 + 4 + 8;

// Reads `count` key-value pairs into *metadata.
Status ReadMetadata(GgufCursor& cursor, uint64_t count, const GgufLimits& limits,
                    Metadata* metadata);

// Reads `count` tensor descriptions into file->tensors, then sets data_offset and checks that every
// tensor lies inside the file and none overlaps another. Requires: alignment and file_bytes are
// set.
Status ReadTensors(GgufCursor& cursor, uint64_t count, const GgufLimits& limits, GgufFile* file);

}  // namespace llmrun
