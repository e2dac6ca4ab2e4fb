// The instruction set of any machine: tables of sums (generic/table_lookup.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/portable/ints.h"

namespace llmrun::portable {

struct Lookup : Ints {
  // Whether there is all of this; if not, products are looked up with AVX2.
  static constexpr bool kHasTables = true;

  // From four groups of four columns of 16 rows, row by row: columns[i] has column i of the groups,
  // one after the other.
  static void Columns(const std::byte* at, B (&columns)[4]) {
    for (int i = 0; i < 4; ++i) {
      columns[i] = EachByte([&](int j) { return at[j / 16 * 64 + j % 16 * 4 + i]; });
    }
  }
  // What two weights of two bits, the first in the lower bits of the place, make of x0 and x1, less
  // `middle`: low + kUnit x high, rounded to nearest.
  template <int kUnit>
  static void PairTable(int x0, int x1, int middle, int8_t* low, int8_t* high) {
    for (int i = 0; i < 16; ++i) {
      const int sum = i % 4 * x0 + i / 4 * x1 - middle;
      const int part = (sum + (sum < 0 ? -kUnit / 2 : kUnit / 2)) / kUnit;
      high[i] = static_cast<int8_t>(part);
      low[i] = static_cast<int8_t>(sum - kUnit * part);
    }
  }
  // Of each 16 bytes, what stands at these places of 16 bytes of the tables.
  static B LookUpLanes(const int8_t* tables, const B& x) {
    return EachByte([&](int i) { return tables[i / 16 * 16 + x.v[i]]; });
  }
  // Lane i: of bytes i, 16 + i, 32 + i and 48 + i, signed, the sum of low + kUnit x high. Sums of
  // two, four or all of either fit into a byte.
  template <int kUnit>
  static I SumOfLanes(const B& low, const B& high) {
    I sum{};
    for (int i = 0; i < 64; ++i) {
      sum.v[i % 16] += static_cast<int8_t>(low.v[i]) + kUnit * static_cast<int8_t>(high.v[i]);
    }
    return sum;
  }
};

}  // namespace llmrun::portable
