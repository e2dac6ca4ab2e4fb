// Products of F32, F16 and BF16 weights with float activations: 16 running sums per result, one in
// each lane, fused multiply-adds in ascending column order (generic/float_step.h), summed pairwise
// at the end.
//
// A few tokens: row by row, in one stream, which is as fast as memory, or a few rows at a time,
// where the activations of several come through the caches for each. More: a section of the columns
// of some tokens is copied side by side, where it stays in the first level cache (rows of
// activations lie a power of two apart, and would drive each other out of it), and a strip of rows
// passes by, several at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/float_strip.h"

namespace llmrun::generic {

template <class Isa, template <class> class Element>
struct FloatMatmul {
  static constexpr int kMostTokens = Isa::kFloatTokens;

  static void Run(const MatmulArgs& args) {
    if (args.n_tokens <= kMostTokens) return Tile<true, kMostTokens, 1>(args, 0, args.n_tokens);
    // Of nearly the same size: 7 tokens are 3 and 4, not 6 and 1.
    const int64_t tiles = (args.n_tokens + kMostTokens - 1) / kMostTokens;
    MatmulArgs strip = args;
    for (; strip.row_begin < args.row_end; strip.row_begin += Isa::kFloatStripRows) {
      strip.row_end = strip.row_begin + Isa::kFloatStripRows;
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
    constexpr int kRows = kStream ? Isa::StreamRows(T) : Isa::kFloatRows;
    constexpr int kSteps = kStream ? kStepsOfStream / T : kStepsInCache;
    FloatStrip<Isa, kStream, Element, kRows, T, kSteps> strip;
    for (int64_t row = args.row_begin; row < args.row_end; row += Isa::kFloatStripRows) {
      const int64_t rest = args.row_end - row;
      strip.Run(args, row, rest < Isa::kFloatStripRows ? rest : Isa::kFloatStripRows, token);
    }
  }
};

}  // namespace llmrun::generic
