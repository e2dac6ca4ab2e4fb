// Builds the header of a GGUF v3 file. The caller then writes each tensor's data at DataOffset() +
// its offset, in order. Used by the commands that write models, and by
// the tests.
// Threads: Thread-compatible. Format: as in loader/gguf/gguf.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "loader/gguf/metadata.h"
#include "memory/dtype.h"

namespace llmrun {

class GgufWriter {
 public:
  // Adds general.alignment when it is not the default. Requires: a power of two.
  explicit GgufWriter(uint32_t alignment = 32);

  // Requires: the alternative of `value` is that of `type`; keys and tensor names are given once.
  void Add(std::string key, MetaType type, MetaScalar value);
  void AddString(std::string key, std::string value);
  void AddUint32(std::string key, uint32_t value);
  void AddFloat32(std::string key, float value);
  void AddBool(std::string key, bool value);

  // All entries whose keys are `wanted`, but for general.alignment, which is this file's own.
  void AddFrom(const Metadata& metadata, FunctionRef<bool(std::string_view key)> wanted);

  // Errors as TensorBytes(). Tensor offsets are assigned in call order, aligned.
  Status AddTensor(std::string name, DType dtype, std::vector<uint64_t> dims);

  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<uint64_t> dims;
    uint64_t offset;  // from DataOffset()
    uint64_t bytes;
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // The header with its padding; its size is DataOffset().
  std::vector<std::byte> Header() const;
  uint64_t DataBytes() const { return data_bytes_; }  // with padding after each tensor

 private:
  uint32_t alignment_;
  std::vector<MetaEntry> entries_;
  std::vector<Tensor> tensors_;
  uint64_t data_bytes_ = 0;
};

}  // namespace llmrun
