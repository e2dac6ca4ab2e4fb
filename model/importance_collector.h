// Measures an importance matrix (model/importance.h): while a model runs over text, the mean square
// of each column of what its matrices are multiplied with, as they see it (rounded to int8 where
// they take it so).
//
// Left out, as in llama.cpp's imatrix: the embedding and the output matrix, and what routes tokens
// to experts.
//
// Threads: Add() is Thread-safe, the rest Thread-compatible. Must outlive it: the index.
// Sums are in double precision, those of a batch added in the order of its tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"
#include "loader/index/tensor_index.h"

namespace llmrun {

class ImportanceCollector {
 public:
  explicit ImportanceCollector(const TensorIndex& index);

  // What slice `slice` (an expert) of a tensor is multiplied with: x [n_tokens][columns]; or
  // `rounded`, if not null.
  void Add(TensorId tensor, int64_t slice, int64_t n_tokens, const float* x,
           const QuantizedRows* rounded);

  size_t matrices() const;  // tensors that met any tokens
  // Writes them as GGUF; `text`, `chunks` and `chunk_tokens` say what was run. Requires:
  // matrices(). Errors of OutputFile.
  Status Write(const std::string& path, const std::string& text, uint32_t chunks,
               uint32_t chunk_tokens) const;

 private:
  struct Sums {
    std::vector<double> squares;   // [slices][columns]; empty: is not measured
    std::vector<uint64_t> counts;  // [slices] tokens
    bool any = false;
  };

  const TensorIndex& index_;
  std::mutex mutex_;
  std::vector<Sums> sums_;  // [tensors]
};

}  // namespace llmrun
