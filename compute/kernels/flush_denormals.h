// While it lives, the thread that made it computes with denormal floats as zeros, operands and
// results (FTZ and DAZ of x86's MXCSR; elsewhere nothing happens): arithmetic on them takes a
// hundred times as long on some processors. All threads that compute together must do so, for
// results with and without differ. Threads: belongs to one.
#pragma once

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace llmrun {

class FlushDenormals {
 public:
#ifdef __SSE2__
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero); }
  ~FlushDenormals() { _mm_setcsr(saved_); }
#else
  FlushDenormals() = default;
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#ifdef __SSE2__
  static constexpr unsigned kFlushToZero = 0x8000;
  static constexpr unsigned kDenormalsAreZero = 0x0040;
  const unsigned saved_;
#endif
};

}  // namespace llmrun
