// Which of two kernels multiplies packed rows with one token: the one that multiplies, or the one
// that looks sums up in tables (decision 26). Both give the same bits, so that this is a matter of
// speed alone, measured once for each shape and kept in a file.
//
// Threads: values and pure functions. Failure: a file that is damaged or was written for other
// kernels or another processor means that nothing is known.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "compute/kernels.h"
#include "memory/dtype.h"

namespace llmrun {

inline constexpr int kKernelChoiceVersion = 1;  // to be raised when either kernel becomes faster

enum class ProductKernel : uint8_t { kMultiply, kLookUp };
std::string_view NameOf(ProductKernel kernel);  // "multiply", "lookup"

struct ProductShape {
  IsaLevel isa = IsaLevel::kPortable;
  DType type = DType::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  auto operator<=>(const ProductShape&) const = default;
};
using KernelChoices = std::map<ProductShape, ProductKernel>;

// measure(kernel): the seconds that a product takes, of the same size each time. Of both kernels in
// turn; looking up has to be 3 % faster to be chosen.
ProductKernel FasterKernel(const std::function<double(ProductKernel)>& measure);

// JSON. `processor`: the model's name.
std::string KernelChoicesText(const KernelChoices& choices, std::string_view processor);
KernelChoices ParseKernelChoices(std::string_view text, std::string_view processor);

}  // namespace llmrun
