// Looks at every value of a tensor: hashes it, and finds NaN and infinities.
// Threads: pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "memory/tensor_view.h"

namespace llmrun {

struct NotFinite {
  uint64_t row = 0;
  uint64_t element = 0;  // within the row
  float value = 0;       // NaN, +Inf or -Inf
};

struct TensorCheck {
  uint64_t xxh3 = 0;
  bool values_checked = false;  // false: no codec for the type, hashed only
  uint64_t not_finite = 0;      // how many values
  std::optional<NotFinite> first;
};

// As Weights::Pieces() gives them.
Result<TensorCheck> CheckTensor(std::span<const TensorPiece> pieces);

// "row 3 element 17 is nan".
std::string DescribeNotFinite(const NotFinite& found);

}  // namespace llmrun
