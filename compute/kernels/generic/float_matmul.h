// Products of F32, F16 and BF16 weights with float activations: 16 running sums per result, one in
// each lane, fused multiply-adds in ascending column order (generic/float_step.h), summed pairwise
// at the end.
//
// A few tokens: row by row, in one stream, which is as fast as memory. More: a section of the
// columns of some tokens is copied side by side, where it stays in the first level cache (rows of
// activations lie a power of two apart, and would drive each other out of it), and a strip of rows
// passes by, several at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/float_step.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

inline constexpr int kFloatStripRows = 128;  // they stay in the second level cache

// T tokens; R rows at a time; kSteps along a row before the next rows.
template <class Isa, class Element, int R, int T, int kSteps>
class FloatStrip {
 public:
  using Step = FloatStep<Isa, Element>;

  // rows: at most kFloatStripRows.
  void Run(const MatmulArgs& args, int64_t row, int64_t rows, int64_t token) {
    constexpr int64_t kCols = int64_t{kSteps} * Step::kCols;
    int64_t col = 0;
    do {
      const int64_t rest = args.n_cols - col;
      const Part part = {row, token, col, static_cast<int>(rest < kCols ? rest : kCols),
                         rest <= kCols};
      PutTokens(args, part);
      int64_t r = 0;
      for (; r + R <= rows; r += R) Rows<R>(args, part, r);
      if constexpr (R > 1) {
        for (; r < rows; ++r) Rows<1>(args, part, r);
      }
      col += kCols;
    } while (col < args.n_cols);
  }

 private:
  using F = typename Isa::F;
  struct Part {
    int64_t row;
    int64_t token;
    int64_t col;
    int cols;
    bool last;
  };

  alignas(64) std::byte x_[kSteps][T][kStepBytes];
  alignas(64) float sums_[kFloatStripRows][T][kLanes];  // of rows that have further sections

  void PutTokens(const MatmulArgs& args, const Part& part) {
    for (int t = 0; t < T; ++t) {
      const float* x = args.x + (part.token + t) * args.n_cols + part.col;
      int i = 0;
      for (; (i + 1) * Step::kCols <= part.cols; ++i) Step::Put(x + i * Step::kCols, x_[i][t]);
      const int rest = part.cols - i * Step::kCols;
      if (rest == 0) continue;
      float padded[Step::kCols] = {};
      __builtin_memcpy(padded, x + i * Step::kCols, static_cast<size_t>(rest) * sizeof(float));
      Step::Put(padded, x_[i][t]);
    }
  }

  template <int N>
  LLMRUN_INLINE void Rows(const MatmulArgs& args, const Part& part, int64_t r) {
    const auto row_bytes = static_cast<int64_t>(args.row_bytes);
    const std::byte* w = args.weights + (part.row + r) * row_bytes + part.col * Element::kBytes;
    F sums[N][T];
    LLMRUN_UNROLL for (int n = 0; n < N; ++n) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        sums[n][t] = part.col == 0 ? Isa::Zero() : Isa::Load(sums_[r + n][t]);
      }
    }
    const int whole = part.cols / Step::kCols;
    for (int i = 0; i < whole; ++i) {
      const std::byte* at = w + i * Step::kCols * Element::kBytes;
      typename Step::Weights weights[N];
      LLMRUN_UNROLL for (int n = 0; n < N; ++n) weights[n] = Step::Load(at + n * row_bytes);
      AddStep<N>(weights, i, sums);
    }
    const int rest = part.cols - whole * Step::kCols;
    if (rest != 0) {
      typename Step::Weights weights[N];
      LLMRUN_UNROLL for (int n = 0; n < N; ++n) {
        std::byte padded[Step::kCols * Element::kBytes] = {};
        __builtin_memcpy(padded, w + n * row_bytes + whole * Step::kCols * Element::kBytes,
                         static_cast<size_t>(rest) * Element::kBytes);
        weights[n] = Step::Load(padded);
      }
      AddStep<N>(weights, whole, sums);
    }
    Put<N>(args, part, r, sums);
  }
  template <int N>
  LLMRUN_INLINE void AddStep(const typename Step::Weights (&w)[N], int i, F (&sums)[N][T]) const {
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      const typename Step::Tokens x = Step::LoadTokens(x_[i][t]);
      LLMRUN_UNROLL for (int n = 0; n < N; ++n) sums[n][t] = Step::Add(sums[n][t], w[n], x);
    }
  }
  template <int N>
  LLMRUN_INLINE void Put(const MatmulArgs& args, const Part& part, int64_t r, F (&sums)[N][T]) {
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      float* out = args.out + (part.token + t) * args.out_stride + part.row + r;
      if (!part.last) {
        LLMRUN_UNROLL for (int n = 0; n < N; ++n) Isa::Store(sums_[r + n][t], sums[n][t]);
      } else if constexpr (N == 4) {
        Isa::StoreReduced(out, sums[0][t], sums[1][t], sums[2][t], sums[3][t]);
      } else {
        LLMRUN_UNROLL for (int n = 0; n < N; ++n) out[n] = Isa::ReduceAdd(sums[n][t]);
      }
    }
  }
};

template <class Isa, class Element>
struct FloatMatmul {
  static constexpr int kMostTokens = Isa::kFloatTokens;

  static void Run(const MatmulArgs& args) {
    if (args.n_tokens <= kMostTokens) return Tile<true, kMostTokens, 1>(args, 0, args.n_tokens);
    // Of nearly the same size: 7 tokens are 3 and 4, not 6 and 1.
    const int64_t tiles = (args.n_tokens + kMostTokens - 1) / kMostTokens;
    MatmulArgs strip = args;
    for (; strip.row_begin < args.row_end; strip.row_begin += kFloatStripRows) {
      strip.row_end = strip.row_begin + kFloatStripRows;
      if (strip.row_end > args.row_end) strip.row_end = args.row_end;
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t begin = args.n_tokens * i / tiles;
        const int64_t tokens = args.n_tokens * (i + 1) / tiles - begin;
        Tile<false, kMostTokens, (kMostTokens + 1) / 2>(strip, begin, tokens);
      }
    }
  }

 private:
  static constexpr int kStepsOfStream = 1024;  // of all tokens together
  static constexpr int kStepsInCache = 64;

  // `tokens` is in kLeast..T.
  template <bool kStream, int T, int kLeast>
  static void Tile(const MatmulArgs& args, int64_t token, int64_t tokens) {
    if constexpr (T > kLeast) {
      if (tokens < T) return Tile<kStream, T - 1, kLeast>(args, token, tokens);
    }
    constexpr int kRows = kStream ? 1 : Isa::kFloatRows;
    constexpr int kSteps = kStream ? kStepsOfStream / T : kStepsInCache;
    FloatStrip<Isa, Element, kRows, T, kSteps> strip;
    for (int64_t row = args.row_begin; row < args.row_end; row += kFloatStripRows) {
      const int64_t rest = args.row_end - row;
      strip.Run(args, row, rest < kFloatStripRows ? rest : kFloatStripRows, token);
    }
  }
};

}  // namespace llmrun::generic
