// A typed look at a tensor's bytes. Not an owner: Weights (loader/weights.h) must outlive it.
// Layout: rows of dims[0] elements, `row_bytes` apart, no padding between rows.
// Threads: a value; the bytes are constant once their layer's latch has fired.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "memory/dtype.h"

namespace llmrun {

struct TensorView {
  DType dtype = DType::kF32;
  int n_dims = 1;
  Dims dims = {1, 1, 1, 1};
  // May be aligned to 32 bytes only (GGUF's default alignment), of safetensors to none at all.
  // nullptr for a tensor without bytes.
  const std::byte* data = nullptr;
  uint64_t bytes = 0;

  uint64_t row_elems() const { return dims[0]; }
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
  uint64_t row_bytes() const { return RowBytes(dtype, dims[0]); }
};

// Rows of a tensor that lie together.
struct TensorPiece {
  uint64_t row_begin = 0;        // of the tensor: the first row of `view`
  TensorView view;               // of these rows alone
  std::optional<unsigned> node;  // the NUMA node they were put on; nullopt: anywhere, or several
};

// Whether the pieces of a tensor are copies of the whole, one a node, rather than runs of its rows.
inline bool AreCopies(std::span<const TensorPiece> pieces) {
  return pieces.size() > 1 && pieces[1].row_begin == 0;
}

}  // namespace llmrun
