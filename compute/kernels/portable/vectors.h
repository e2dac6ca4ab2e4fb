// The instruction set of any machine, in the files of this folder: the meaning of the operations
// that the generic kernels are written in. Lanes are independent unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace llmrun::portable {

inline constexpr int kLanes = 16;

template <typename T>
T ReadAs(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

struct Vectors {
  struct F {
    float v[kLanes];
  };
  struct I {
    int32_t v[kLanes];
  };
  struct B {
    uint8_t v[64];
  };
};

}  // namespace llmrun::portable
