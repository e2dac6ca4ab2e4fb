// The last 1..15 elements of an array, as full vectors: reads and writes nothing beyond them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmrun::generic {

inline constexpr int kLanes = 16;

// The element types that 16 lanes can be loaded from.
template <class Isa>
struct F32 {
  static constexpr int kBytes = 4;
  static typename Isa::F Load(const std::byte* at) { return Isa::LoadF32(at); }
};
template <class Isa>
struct F16 {
  static constexpr int kBytes = 2;
  static typename Isa::F Load(const std::byte* at) { return Isa::LoadF16(at); }
};
template <class Isa>
struct Bf16 {
  static constexpr int kBytes = 2;
  static typename Isa::F Load(const std::byte* at) { return Isa::LoadBf16(at); }
};

// n elements, then zeros.
template <class Element>
auto LoadPart(const std::byte* at, int n) {
  std::byte buffer[kLanes * Element::kBytes] = {};
  __builtin_memcpy(buffer, at, static_cast<size_t>(n) * Element::kBytes);
  return Element::Load(buffer);
}

// n floats, then `fill`.
template <class Isa>
typename Isa::F LoadPart(const float* at, int n, float fill) {
  float buffer[kLanes];
  for (int i = 0; i < kLanes; ++i) buffer[i] = i < n ? at[i] : fill;
  return Isa::Load(buffer);
}

template <class Isa>
void StorePart(float* at, typename Isa::F value, int n) {
  float buffer[kLanes];
  Isa::Store(buffer, value);
  for (int i = 0; i < n; ++i) at[i] = buffer[i];
}

// Calls body(i, lanes) for i = 0, 16, ...: lanes is 16 but for the last call.
template <class Isa, class Body>
void ForLanes(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, static_cast<int>(n - i));
}

}  // namespace llmrun::generic
