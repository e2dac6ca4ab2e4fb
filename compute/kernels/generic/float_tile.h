// Dot products of F32, F16 and BF16 weights with float activations: 16 running sums per result,
// fused multiply-adds in ascending column order, summed pairwise at the end.
#pragma once

#include <cstddef>

#include "compute/kernels.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Element>
struct FloatTiles {
  using F = typename Isa::F;

  template <int R, int T>
  static void Run(const MatmulArgs& args, int64_t row, int64_t token) {
    const std::byte* weights = args.weights + static_cast<uint64_t>(row) * args.row_bytes;
    const float* x = args.x + token * args.n_cols;
    F sums[R][T];
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) sums[r][t] = Isa::Zero();
    }
    int64_t col = 0;
    for (; col + kLanes <= args.n_cols; col += kLanes) {
      F w[R];
      LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
        w[r] = Element::Load(weights + static_cast<uint64_t>(r) * args.row_bytes +
                             col * Element::kBytes);
      }
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const F xt = Isa::Load(x + t * args.n_cols + col);
        LLMRUN_UNROLL for (int r = 0; r < R; ++r) sums[r][t] = Isa::Fma(w[r], xt, sums[r][t]);
      }
    }
    const int rest = static_cast<int>(args.n_cols - col);
    float* out = args.out + token * args.out_stride + row;
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        F sum = sums[r][t];
        if (rest != 0) {
          const F w = LoadPart<Element>(
              weights + static_cast<uint64_t>(r) * args.row_bytes + col * Element::kBytes, rest);
          sum = Isa::Fma(w, LoadPart<Isa>(x + t * args.n_cols + col, rest, 0.0F), sum);
        }
        out[t * args.out_stride + r] = Isa::ReduceAdd(sum);
      }
    }
  }
};

}  // namespace llmrun::generic
