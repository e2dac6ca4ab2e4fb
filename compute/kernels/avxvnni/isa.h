// AVX2 with AVX-VNNI: the dot products of VNNI in registers of 256 bits, for processors that have
// them without AVX-512.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/avx2/isa.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::avxvnni {

struct Isa : avx2::Isa {
  static void FewTokens(const MatmulArgs& args);
  static constexpr bool kHasTables = false;
  static constexpr bool kUsesWords = false;
  template <int kOffset>
  static constexpr bool HasStart() {
    return kOffset != 0;
  }
  template <int kMost>
  static constexpr int Chain(int /*groups*/) {
    return 1;
  }
  template <int kOffset>
  LLMRUN_INLINE static B AddOffset(B x) {
    static_assert(kOffset == 128);
    return XorBytes(x, SetBytes(0x80));
  }
  template <int kOffset>
  LLMRUN_INLINE static I AddDot(I sum, B w, B x) {
    return {_mm256_dpbusd_avx_epi32(sum.low, w.low, x.low),
            _mm256_dpbusd_avx_epi32(sum.high, w.high, x.high)};
  }
  static constexpr int kPeakDots = 1;
  LLMRUN_INLINE static void PeakDots(B w, B x, I& sum) {
    sum = AddDot<0>(sum, w, x);
    Keep(sum);
  }

  static constexpr int PanelTokens(int sub_cols) { return sub_cols == 16 ? 3 : 4; }
};

}  // namespace llmrun::avxvnni
