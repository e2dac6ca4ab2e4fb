// Looks tensors up by name for an architecture, checks shape and element type, and remembers which
// were asked for.
// Threads: Single-thread. Must outlive it: the Weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/weights.h"
#include "model/llama_weights.h"

namespace llmrun {

class TensorBinder {
 public:
  explicit TensorBinder(const Weights& weights);

  bool Has(std::string_view name) const { return weights_.index().Find(name).has_value(); }
  // A matrix that some kernel multiplies with.
  Result<WeightMatrix> Matrix(const std::string& name, int64_t rows, int64_t cols);
  // The same of several experts, one after the other: three dimensions.
  Result<WeightMatrix> Experts(const std::string& name, int64_t n_experts, int64_t rows,
                               int64_t cols);
  // n float32 values; or so many of each expert, in two dimensions.
  Result<const float*> Vector(const std::string& name, int64_t n, int64_t n_experts = 1);
  // The error for a tensor that was asked for, but cannot be used so (kUnavailable).
  tl::unexpected<Error> Refuse(const std::string& name, std::string_view why) const;
  // Marks a tensor as known although nothing uses it.
  void Ignore(std::string_view name);

  // Fails (kUnavailable) unless every tensor of the file was asked for or ignored.
  Status ExpectAllUsed(std::string_view architecture) const;

 private:
  Result<TensorId> Find(const std::string& name, const Dims& expected);
  Result<WeightMatrix> MatrixOf(TensorId id) const;
  // "FILE: tensor 'NAME': <message>"
  tl::unexpected<Error> Fail(ErrorCode code, const IndexedTensor& tensor,
                             std::string_view message) const;

  const Weights& weights_;
  std::vector<bool> used_;  // [tensors]
};

}  // namespace llmrun
