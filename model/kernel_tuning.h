// How a session chooses the kernels of single tokens (model/kernel_tuner.h), and what it chose.
// Threads: values.
#pragma once

#include <cstdint>
#include <functional>

#include "compute/kernel_choice.h"

namespace llmrun {

// What came of it.
struct KernelTuned {
  KernelChoices choices = {};  // of this model's shapes, as far as they are made
  int measured = 0;            // how many of them were not known before
  double seconds = 0;          // that took
};

struct KernelTuning {
  enum class Mode : uint8_t { kMultiply, kLookUp, kMeasure };
  Mode mode = Mode::kMultiply;
  KernelChoices known = {};  // are not measured again
  // Instead of a product's time; empty: that. For tests.
  std::function<double(const ProductShape&, ProductKernel)> measure = {};
  // Called once after measuring. May be empty.
  std::function<void(const KernelTuned&)> on_measured = {};
};

}  // namespace llmrun
