// The GGUF reader: bytes in, values out. Versions 2 and 3, little endian.
// Format: the GGUF specification (ggml project, docs/gguf.md).
//
// Every count, length, offset, dimension product and alignment is checked with overflow-safe
// arithmetic against the limits below before memory is reserved for it. Rejected, naming file,
// offset, key or tensor, expected and found: zero dimensions, duplicate keys and tensor names,
// overlapping tensors, tensors past the end of the file, unknown types, arrays of arrays.
//
// Threads: no shared state. Failure: kBadData (damaged or hostile), kUnavailable (big endian,
// version 1 or a later one).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/gguf/byte_source.h"
#include "loader/gguf/metadata.h"
#include "memory/dtype.h"

namespace llmrun {

struct GgufLimits {
  uint64_t max_kv = uint64_t{1} << 20;
  uint64_t max_tensors = 1'000'000;
  uint64_t max_key_bytes = 65'535;          // the specification's limit
  uint64_t max_tensor_name_bytes = 256;     // specification: 64; some models exceed it
  uint64_t max_string_bytes = 64ULL << 20;  // chat templates are the long ones
  uint64_t max_array_elems = 64ULL << 20;   // vocabularies stay far below
  uint64_t max_header_bytes = 1ULL << 30;   // all metadata and tensor descriptions
  uint64_t max_alignment = 64ULL << 10;
};

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  int n_dims = 1;
  Dims dims = {1, 1, 1, 1};
  uint64_t file_offset = 0;  // absolute, from the beginning of its file
  uint64_t bytes = 0;
};

enum class FileFormat : uint8_t { kGguf, kSafetensors };

// What a file of weights says of itself. Named for the format that says most; the reader of
// another format (loader/safetensors) fills in what that has.
struct GgufFile {
  FileFormat format = FileFormat::kGguf;
  std::string label;  // the path
  uint32_t version = 3;
  uint64_t alignment = 32;
  uint64_t data_offset = 0;  // where the tensor data begins (= file size without tensors)
  uint64_t file_bytes = 0;
  Metadata metadata;
  std::vector<TensorInfo> tensors;  // in file order of their descriptions
};

Result<GgufFile> ParseGguf(ByteSource& source, const GgufLimits& limits = {});

}  // namespace llmrun
