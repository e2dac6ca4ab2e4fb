// The activations of some tokens, as products of strips want them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Activations of T tokens at the first column of a section.
struct TokenSource {
  const int8_t* q;
  int64_t q_stride;
  const float* scale;  // of blocks
  int64_t scale_stride;
  const int16_t* sums = nullptr;  // of 16 columns each; where kScalesWords
};

// What follows from the activations of a section alone, for the tokens of a tile.
template <class Format, int T>
struct TokenSums {
  static constexpr int kSubs = kSectionCols / Format::kSubCols;
  alignas(64) int32_t start[T][kSubs];                    // -offset x sum
  alignas(64) float sum[Format::kHasMin ? T : 1][kSubs];  // scale x sum
};

// The activations themselves for wide weights: those of 32 columns as 16 words of the even columns
// and 16 of the odd ones.
template <class Isa, int T>
struct WideTokens {
  alignas(64) int16_t q[T][kSectionCols];

  TokenSource Put(const TokenSource& x, int cols) {
    for (int t = 0; t < T; ++t) {
      for (int i = 0; i < cols; i += kQuantBlock) {
        Isa::WidenEvenAndOdd(x.q + t * x.q_stride + i, q[t] + i);
      }
    }
    constexpr auto kStride = static_cast<int64_t>(sizeof q[0]);
    return {reinterpret_cast<const int8_t*>(q), kStride, x.scale, x.scale_stride, x.sums};
  }
};

template <class Isa, class Format>
struct SumsOfTokens {
  using F = typename Isa::F;

  // Of n tokens. `sums`: from the first column of the section on; `blocks`: of memory.
  template <int T>
  static void Put(const int16_t* sums, const TokenSource& x, int blocks, int n,
                  TokenSums<Format, T>* tokens) {
    blocks *= BlockOf<Format>::kCols / kQuantBlock;
    for (int t = 0; t < n; ++t) {
      const int16_t* from = sums + t * (x.q_stride / kSumBlock);
      int b = 0;
      for (; b + kLanes <= blocks; b += kLanes) PutStarts(from + 2 * b, b, t, tokens);
      if (b < blocks) {
        int16_t last[2 * kLanes] = {};
        __builtin_memcpy(last, from + 2 * b, static_cast<size_t>(blocks - b) * 2 * sizeof *last);
        PutStarts(last, b, t, tokens);
      }
      if constexpr (Format::kHasMin) {
        PutSums(from, x.scale + t * x.scale_stride, blocks, tokens->sum[t]);
      }
    }
  }

 private:
  // Of 16 blocks from b on.
  template <int T>
  LLMRUN_INLINE static void PutStarts(const int16_t* from, int b, int t,
                                      TokenSums<Format, T>* tokens) {
    if constexpr (!Isa::template HasStart<Format::kOffset>()) return;
    if constexpr (Format::kSubCols == kQuantBlock) {
      Isa::StoreInts(&tokens->start[t][b], Isa::template Pairs<-Format::kOffset>(from));
    } else {
      int32_t* to = &tokens->start[t][2 * b];
      Isa::StoreInts(to, Isa::template Widen<-Format::kOffset>(from));
      Isa::StoreInts(to + kLanes, Isa::template Widen<-Format::kOffset>(from + kLanes));
    }
  }
  static void PutSums(const int16_t* from, const float* scale, int blocks, float* sum) {
    int b = 0;
    if constexpr (Format::kSubCols == kQuantBlock) {
      for (; b + kLanes <= blocks; b += kLanes) {
        const F all = Isa::ToFloat(Isa::template Pairs<1>(from + 2 * b));
        Isa::Store(sum + b, Isa::Mul(Isa::Load(scale + b), all));
      }
      for (; b < blocks; ++b) sum[b] = scale[b] * static_cast<float>(from[2 * b] + from[2 * b + 1]);
    } else {
      for (; b < 2 * blocks; ++b) sum[b] = scale[b / 2] * static_cast<float>(from[b]);
    }
  }
};

}  // namespace llmrun::generic
