// Products of some tokens with rows of F32, F16 or BF16 weights, the tokens side by side; see
// generic/float_matmul.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/float_step.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// In which vectors sums are kept: all lanes together.
template <class Isa, bool kStream>
struct SumLanes {
  using V = Isa;
  static constexpr int kParts = 1;
};
// Where these take two registers, tiles keep one half after the other, which leaves room for more
// rows and tokens.
template <class Isa>
requires requires { typename Isa::Half; }
struct SumLanes<Isa, false> {
  using V = typename Isa::Half;
  static constexpr int kParts = 2;
};

// T tokens; R rows at a time; kSteps along a row before the next rows.
template <class Isa, bool kStream, template <class> class Element, int R, int T, int kSteps>
class FloatStrip {
 public:
  using Lanes = SumLanes<Isa, kStream>;
  using V = typename Lanes::V;
  using Step = FloatStep<V, Element<V>>;

  // rows: at most Isa::kFloatStripRows.
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
  using F = typename V::F;
  struct Part {
    int64_t row;
    int64_t token;
    int64_t col;
    int cols;
    bool last;
  };
  static constexpr int64_t kBytes = int64_t{Step::kCols} * Element<V>::kBytes;  // of a step

  // F32 loses a sixth by it.
  static constexpr bool kPrefetches = Isa::kPrefetchesAll && kStream && Element<V>::kBytes == 2;

  alignas(64) std::byte x_[kSteps][T][kStepBytes];
  alignas(64) float sums_[Isa::kFloatStripRows][T][kLanes];  // of rows that have further sections

  void PutTokens(const MatmulArgs& args, const Part& part) {
    using AllLanes = FloatStep<Isa, Element<Isa>>;
    for (int t = 0; t < T; ++t) {
      const float* x = args.x + (part.token + t) * args.n_cols + part.col;
      int i = 0;
      for (; (i + 1) * Step::kCols <= part.cols; ++i) AllLanes::Put(x + i * Step::kCols, x_[i][t]);
      const int rest = part.cols - i * Step::kCols;
      if (rest == 0) continue;
      float padded[Step::kCols] = {};
      __builtin_memcpy(padded, x + i * Step::kCols, static_cast<size_t>(rest) * sizeof(float));
      AllLanes::Put(padded, x_[i][t]);
    }
  }

  template <int N>
  LLMRUN_INLINE void Rows(const MatmulArgs& args, const Part& part, int64_t r) {
    const auto row_bytes = static_cast<int64_t>(args.row_bytes);
    const std::byte* w = args.weights + (part.row + r) * row_bytes + part.col * Element<V>::kBytes;
    const int whole = part.cols / Step::kCols;
    const int64_t rest = part.cols % Step::kCols * Element<V>::kBytes;
    std::byte padded[N][kBytes];
    if (rest != 0) {
      LLMRUN_UNROLL for (int n = 0; n < N; ++n) {
        __builtin_memset(padded[n], 0, kBytes);
        __builtin_memcpy(padded[n], w + n * row_bytes + whole * kBytes, static_cast<size_t>(rest));
      }
    }
    alignas(64) float last[N][T][kLanes];
    float(*sums)[T][kLanes] = part.last ? last : sums_ + r;
    LLMRUN_UNROLL for (int p = 0; p < Lanes::kParts; ++p) {
      constexpr int kPartLanes = kLanes / Lanes::kParts;
      F acc[N][T];
      ForAll<N>([&](int n, int t) {
        acc[n][t] = part.col == 0 ? V::Zero() : V::Load(sums_[r + n][t] + p * kPartLanes);
      });
      const int64_t at = p * (kBytes / Lanes::kParts);
      const std::byte* x = x_[0][0] + p * (kStepBytes / Lanes::kParts);
      for (int i = 0; i < whole; ++i) {
        if constexpr (kPrefetches) {
          // What follows on a row's end is the beginning of that N further on.
          int64_t ahead = i * kBytes + Isa::kFloatAheadBytes;
          if (ahead >= whole * kBytes) ahead += N * row_bytes - whole * kBytes;
          const std::byte* next = w + ahead;
          LLMRUN_UNROLL for (int n = 0; n < N; ++n) __builtin_prefetch(next + n * row_bytes);
        }
        AddStep<N>(w + i * kBytes + at, row_bytes, x + i * T * kStepBytes, acc);
      }
      if (rest != 0) AddStep<N>(padded[0] + at, kBytes, x + whole * T * kStepBytes, acc);
      ForAll<N>([&](int n, int t) { V::Store(sums[n][t] + p * kPartLanes, acc[n][t]); });
    }
    if (part.last) Put<N>(args, part, r, last);
  }
  template <int N, class Function>
  LLMRUN_INLINE static void ForAll(Function function) {
    LLMRUN_UNROLL for (int n = 0; n < N; ++n) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) function(n, t);
    }
  }
  template <int N>
  LLMRUN_INLINE static void AddStep(const std::byte* w, int64_t stride, const std::byte* x,
                                    F (&acc)[N][T]) {
    typename Step::Weights weights[N];
    LLMRUN_UNROLL for (int n = 0; n < N; ++n) weights[n] = Step::Load(w + n * stride);
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      const typename Step::Tokens token = Step::LoadTokens(x + t * kStepBytes);
      LLMRUN_UNROLL for (int n = 0; n < N; ++n) acc[n][t] = Step::Add(acc[n][t], weights[n], token);
    }
  }
  template <int N>
  LLMRUN_INLINE static void Put(const MatmulArgs& args, const Part& part, int64_t r,
                                const float (&sums)[N][T][kLanes]) {
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      float* out = args.out + (part.token + t) * args.out_stride + part.row + r;
      if constexpr (N == 4) {
        Isa::StoreReduced(out, Isa::Load(sums[0][t]), Isa::Load(sums[1][t]), Isa::Load(sums[2][t]),
                          Isa::Load(sums[3][t]));
      } else {
        LLMRUN_UNROLL for (int n = 0; n < N; ++n) out[n] = Isa::ReduceAdd(Isa::Load(sums[n][t]));
      }
    }
  }
};

}  // namespace llmrun::generic
