// Dot products of quantized weights with int8 activations.
//
// A row is walked in chunks of 256 columns: 16 groups of 16, in 4 units of 64. Lane i of a unit is
// the exact integer dot product of its bytes 4i..4i+3; as a float it is multiplied by the scale of
// its group (weight scale x activation scale, rounded once) and added to lane i of the running sums
// by one fused multiply-add. Minimums (Q4_K) come first in each chunk: lane g takes -minimum x
// activation scale x sum of the activations of group g. A row that ends inside a chunk goes on with
// zeros.
#pragma once

#include <cstddef>

#include "compute/kernels.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

inline constexpr int kChunk = 256;
inline constexpr int kGroups = 16;  // per chunk
inline constexpr int kUnits = 4;    // per chunk
inline constexpr int kUnit = 64;
inline constexpr int kBlocks = kChunk / kQuantBlock;

// Where a tile reads: the first row and token, and the way to the next ones.
struct QuantSource {
  const std::byte* w;
  int64_t w_stride;
  const int8_t* q;
  int64_t q_stride;
  const float* scale;
  int64_t scale_stride;
  const int16_t* sums;
  int64_t sums_stride;
};

template <class Isa, class Format>
struct QuantTiles {
  using F = typename Isa::F;
  using I = typename Isa::I;
  using B = typename Isa::B;

  template <int R, int T>
  LLMRUN_INLINE static void AddChunk(const QuantSource& in, F (&acc)[R][T]) {
    alignas(64) float scales[R][T][kGroups];
    F w_scale[R];
    [[maybe_unused]] F w_min[R];
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      w_scale[r] = Format::Scales(in.w + r * in.w_stride);
      if constexpr (Format::kHasMin) w_min[r] = Format::NegativeMins(in.w + r * in.w_stride);
    }
    LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
      const F x_scale = Isa::LoadTwice(in.scale + t * in.scale_stride);
      LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
        Isa::Store(scales[r][t], Isa::Mul(w_scale[r], x_scale));
      }
      if constexpr (Format::kHasMin) {
        const F sums = Isa::LoadInt16(in.sums + t * in.sums_stride);
        LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
          acc[r][t] = Isa::Fma(Isa::Mul(w_min[r], x_scale), sums, acc[r][t]);
        }
      }
    }
    LLMRUN_UNROLL for (int u = 0; u < kUnits; ++u) {
      B w[R];
      LLMRUN_UNROLL for (int r = 0; r < R; ++r) w[r] = Format::Unit(in.w + r * in.w_stride, u);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const B x = Isa::LoadBytes(in.q + t * in.q_stride + u * kUnit);
        const I start = Isa::template DotStart<Format::kOffset>(x);
        LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
          const I dot = Isa::template Dot<Format::kOffset>(start, w[r], x);
          acc[r][t] = Isa::Fma(Isa::ToFloat(dot), Isa::SpreadGroups(scales[r][t], u), acc[r][t]);
        }
      }
    }
  }

  // The last columns of a row whose length is no multiple of a chunk, from copies with zeros after
  // them: nothing beyond the row is read.
  template <int R, int T>
  static void AddTail(const QuantSource& in, int blocks, F (&acc)[R][T]) {
    static_assert(!Format::kHasMin, "sums are not copied");
    std::byte w[R][Format::kChunkBytes] = {};
    int8_t q[T][kChunk] = {};
    float scale[T][kBlocks] = {};
    const auto n = static_cast<size_t>(blocks);
    for (int r = 0; r < R; ++r) {
      __builtin_memcpy(w[r], in.w + r * in.w_stride, n * (Format::kChunkBytes / kBlocks));
    }
    for (int t = 0; t < T; ++t) {
      __builtin_memcpy(q[t], in.q + t * in.q_stride, n * kQuantBlock);
      __builtin_memcpy(scale[t], in.scale + t * in.scale_stride, n * sizeof(float));
    }
    AddChunk<R, T>({w[0], Format::kChunkBytes, q[0], kChunk, scale[0], kBlocks, nullptr, 0}, acc);
  }

  template <int R, int T>
  static void Run(const MatmulArgs& args, int64_t row, int64_t token) {
    const auto w_stride = static_cast<int64_t>(args.row_bytes);
    const int64_t n = args.n_cols;
    QuantSource in = {args.weights + row * w_stride,
                      w_stride,
                      args.xq.q + token * n,
                      n,
                      args.xq.scale + token * (n / kQuantBlock),
                      n / kQuantBlock,
                      args.xq.sums + token * (n / kSumBlock),
                      n / kSumBlock};
    F acc[R][T];
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) acc[r][t] = Isa::Zero();
    }
    for (int64_t chunk = 0; chunk < n / kChunk; ++chunk) {
      AddChunk<R, T>(in, acc);
      in.w += Format::kChunkBytes;
      in.q += kChunk;
      in.scale += kBlocks;
      in.sums += kGroups;
    }
    if constexpr (!Format::kHasMin && Format::kChunkBytes % kBlocks == 0) {
      const auto blocks = static_cast<int>(n % kChunk / kQuantBlock);
      if (blocks != 0) AddTail<R, T>(in, blocks, acc);
    }
    float* out = args.out + token * args.out_stride + row;
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        out[t * args.out_stride + r] = Isa::ReduceAdd(acc[r][t]);
      }
    }
  }
};

}  // namespace llmrun::generic
