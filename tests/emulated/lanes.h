// Vectors of 512 bits lane by lane or half by half, for the emulated intrinsics beside this.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define LLMRUN_EMULATED static inline __attribute__((always_inline, unused))

// Intrinsics of two vectors, or of one and a count, by those of 256 bits with the same name.
#define LLMRUN_BY_HALVES(vector, half, name)                                             \
  LLMRUN_EMULATED vector _mm512_##name(vector a, vector b) {                             \
    return emulated::ByHalves([](half x, half y) { return _mm256_##name(x, y); }, a, b); \
  }
#define LLMRUN_INTS_BY_HALVES(name) LLMRUN_BY_HALVES(__m512i, __m256i, name)
#define LLMRUN_FLOATS_BY_HALVES(name) LLMRUN_BY_HALVES(__m512, __m256, name)
#define LLMRUN_SHIFT_BY_HALVES(name)                                              \
  LLMRUN_EMULATED __m512i _mm512_##name(__m512i a, int n) {                       \
    return emulated::ByHalves([&](__m256i x) { return _mm256_##name(x, n); }, a); \
  }

namespace llmrun::emulated {

// The lanes of a vector.
template <class T, int kBytes = 64>
struct Lanes {
  static constexpr int kCount = kBytes / static_cast<int>(sizeof(T));
  T v[kCount];

  Lanes() = default;
  template <class Vector>
  explicit Lanes(Vector x) {
    static_assert(sizeof x == kBytes);
    __builtin_memcpy(v, &x, sizeof v);
  }
  template <class Vector>
  operator Vector() const {  // NOLINT(google-explicit-constructor): the vector of these lanes
    static_assert(sizeof(Vector) == kBytes);
    Vector x;
    __builtin_memcpy(&x, v, sizeof v);
    return x;
  }
};

// lane = f(i)
template <class T, class Function>
LLMRUN_EMULATED __m512i Make(Function f) {
  Lanes<T> r;
  for (int i = 0; i < r.kCount; ++i) r.v[i] = static_cast<T>(f(i));
  return r;
}
template <class T, class Function>
LLMRUN_EMULATED __m512i Map(__m512i a, Function f) {
  const Lanes<T> x(a);
  return Make<T>([&](int i) { return f(x.v[i]); });
}
template <class T, class Mask, class Function>
LLMRUN_EMULATED Mask Test(__m512i a, __m512i b, Function f) {
  const Lanes<T> x(a);
  const Lanes<T> y(b);
  Mask mask = 0;
  for (int i = 0; i < x.kCount; ++i) {
    mask |= static_cast<Mask>(static_cast<uint64_t>(f(x.v[i], y.v[i])) << i);
  }
  return mask;
}
// The low and the high 256 bits.
LLMRUN_EMULATED __m256 HalfOf(__m512 x, int i) {
  __m256 halves[2];
  __builtin_memcpy(halves, &x, sizeof halves);
  return halves[i];
}
LLMRUN_EMULATED __m256i HalfOf(__m512i x, int i) {
  __m256i halves[2];
  __builtin_memcpy(halves, &x, sizeof halves);
  return halves[i];
}
LLMRUN_EMULATED __m512 Joined(__m256 low, __m256 high) {
  const __m256 halves[2] = {low, high};
  __m512 x;
  __builtin_memcpy(&x, halves, sizeof x);
  return x;
}
LLMRUN_EMULATED __m512i Joined(__m256i low, __m256i high) {
  const __m256i halves[2] = {low, high};
  __m512i x;
  __builtin_memcpy(&x, halves, sizeof x);
  return x;
}
// By an instruction of 256 bits, for each half.
template <class Function, class... Vectors>
LLMRUN_EMULATED auto ByHalves(Function f, Vectors... x) {
  return Joined(f(HalfOf(x, 0)...), f(HalfOf(x, 1)...));
}
template <class To, class From>
LLMRUN_EMULATED To Cast(From x) {
  To r{};
  __builtin_memcpy(&r, &x, sizeof x < sizeof r ? sizeof x : sizeof r);
  return r;
}
template <class To>
LLMRUN_EMULATED To LoadAt(const void* at) {
  To r;
  __builtin_memcpy(&r, at, sizeof r);
  return r;
}
// A store or load that has to be aligned.
LLMRUN_EMULATED void CheckAligned(const void* at) {
  if (reinterpret_cast<uintptr_t>(at) % 64 != 0) __builtin_trap();
}

}  // namespace llmrun::emulated
