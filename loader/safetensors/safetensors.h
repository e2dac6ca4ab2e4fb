// The safetensors reader: bytes in, the same description out as of a GGUF. Such a file has tensors
// and a few strings, but neither hyper-parameters nor a tokenizer: it can be looked at and loaded,
// not run.
// Format: a u64 length, that many bytes of JSON, the data (huggingface/safetensors, README).
//
// Rejected, naming file, tensor, expected and found: headers past 100 MB or the end of the file,
// what is not the JSON described there, duplicates, data_offsets that are not those of shape and
// dtype, overlaps, holes, and data that does not end where the file does.
//
// Threads: no shared state. Failure: kBadData (damaged or hostile), kUnavailable (more than four
// dimensions).
#pragma once

#include "base/error.h"
#include "loader/gguf/byte_source.h"
#include "loader/gguf/gguf.h"

namespace llmrun {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// Dimensions in the order of memory/dtype.h: the file's shape reversed. version is 0, alignment 1.
Result<GgufFile> ParseSafetensors(ByteSource& source);

}  // namespace llmrun
