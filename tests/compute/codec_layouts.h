// The layouts of quantized types, written down a second time from the format's description: as the
// position of each bit of a value, in contrast to the decoders' loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "memory/dtype.h"

namespace llmrun::testing {

struct Layout {
  DType type;
  size_t blocks;                                        // of a row to test with
  double (*want)(const std::vector<uint8_t>&, size_t);  // value i of such a row, before rounding
};

std::span<const Layout> AllLayouts();

}  // namespace llmrun::testing
