// An importance matrix: for each column of a matrix the mean square of the activations that meet
// it, as measured by running a model over text. It weighs the errors of quantizing.
//
// Two formats: GGUF (general.type = imatrix, tensors "<name>.in_sum2" and "<name>.counts"), and the
// older .dat file (int32 count; for each entry int32 length, name, int32 calls, int32 n, n float32
// sums). Source of both: imatrix of llama.cpp.
//
// Threads: immutable after it was read; Thread-safe. Failure: kNoInput, kOs; kBadData for damaged
// files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/gguf/byte_source.h"

namespace llmrun {

class ImportanceMatrix {
 public:
  static Result<ImportanceMatrix> Open(const std::string& path);
  static Result<ImportanceMatrix> Parse(ByteSource& source);

  size_t size() const { return entries_.size(); }  // tensors
  // Of the columns of matrix `slice` of a tensor with so many columns and matrices; null when the
  // tensor is not there. kBadData when it has another size.
  Result<const float*> Find(const std::string& tensor, uint64_t columns, uint64_t slice,
                            uint64_t slices) const;

 private:
  Status ParseGgufFile(ByteSource& source);
  Status ParseDat(ByteSource& source);
  Status AddEntry(const std::string& name, std::vector<float> sums, std::span<const float> counts);

  std::string label_;
  std::map<std::string, std::vector<float>> entries_;
};

}  // namespace llmrun
