// Products of panels of weights with int8 activations: P panels of 16 rows times T tokens.
//
// What the result of a row and a token is, whatever the shape of the tile: the products of 32 (or
// 16) columns are added exactly, as integers. Types of blocks: class = fma(sum, weight scale x
// activation scale, class) for one block of the class after the other, after fma(minimum,
// activation scale x sum of the activations, class) where there are minimums. Types of superblocks:
// the integer sums of 32 columns, times their integer scales, become floats exactly (below 2^24),
// and part = fma(sum, activation scale, part); after eight of them class = fma(part, scale, class),
// and so for the minimums. The result is the sum of all classes (generic/panel.h), in ascending
// order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/panel_dots.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format, int P, int T>
struct PanelTile : PanelDots<Isa, Format, P, T> {
  using Dots = PanelDots<Isa, Format, P, T>;
  using Dots::Dot;
  using Dots::ForResults;
  using Dots::ScaledSum;
  using Dots::strip;
  using Dots::tokens;
  using Dots::x;
  using F = typename Isa::F;
  using I = typename Isa::I;
  using Block = BlockOf<Format>;

  int blocks;         // of memory, in the section
  StepsAhead* ahead;  // a step for each class
  alignas(64) float total[P][T][kPanelRows];

  // The results so far, 0 for the first section, go on in out.
  void Run(bool first, float* out, int64_t out_stride) {
    ForResults([&](int p, int t) {
      const float* from = out + t * out_stride + p * kPanelRows;
      Isa::Store(total[p][t], first ? Isa::Zero() : Isa::Load(from));
    });
    int place = 0;
    for (int c = 0; c < Block::ClassesOf(blocks); ++c) {
      F acc[P][T];
      ForResults([&](int p, int t) { acc[p][t] = Isa::Zero(); });
      ahead->Step();
      for (int i = c; i < blocks; i += Block::kClasses, ++place) AddBlock(place, i, acc);
      ForResults([&](int p, int t) {
        Isa::Store(total[p][t], Isa::Add(Isa::Load(total[p][t]), acc[p][t]));
      });
    }
    ForResults([&](int p, int t) {
      Isa::Store(out + t * out_stride + p * kPanelRows, Isa::Load(total[p][t]));
    });
  }

 private:
  LLMRUN_INLINE void AddBlock(int place, int i, F (&acc)[P][T]) const {
    if constexpr (Format::kSuper) {
      AddSuperblock(place, i, acc);
    } else {
      I dot[P][T];
      Dot(place, i, dot);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const F x_scale = Isa::Set(x.scale[t * x.scale_stride + i]);
        LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
          if constexpr (Format::kHasMin) {
            acc[p][t] =
                Isa::Fma(Isa::Load(strip.min[place][p]), Isa::Set(tokens.sum[t][i]), acc[p][t]);
          }
          const F scale = Isa::Mul(Isa::Load(strip.scale[place][p]), x_scale);
          acc[p][t] = Isa::Fma(Isa::ToFloat(dot[p][t]), scale, acc[p][t]);
        }
      }
    }
  }

  LLMRUN_INLINE void AddSuperblock(int place, int i, F (&acc)[P][T]) const {
    if constexpr (Format::kHasMin) AddMins(place, i, acc);
    F part[P][T];
    ForResults([&](int p, int t) { part[p][t] = Isa::Zero(); });
    for (int b = 0; b < kSuperBlocks; ++b) {
      I sum[P][T];
      ScaledSum(place * kSuperBlocks + b, i * kSuperBlocks + b, sum);
      LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
        const F x_scale = Isa::Set(x.scale[t * x.scale_stride + i * kSuperBlocks + b]);
        LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
          part[p][t] = Isa::Fma(Isa::ToFloat(sum[p][t]), x_scale, part[p][t]);
        }
      }
    }
    ForResults([&](int p, int t) {
      acc[p][t] = Isa::Fma(part[p][t], Isa::Load(strip.scale[place][p]), acc[p][t]);
    });
  }
  LLMRUN_INLINE void AddMins(int place, int i, F (&acc)[P][T]) const {
    F part[P][T];
    ForResults([&](int p, int t) { part[p][t] = Isa::Zero(); });
    LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        const F min = Isa::Load(strip.sub_min[place * Block::kSubs + s][p]);
        LLMRUN_UNROLL for (int t = 0; t < T; ++t) {
          part[p][t] = Isa::Fma(min, Isa::Set(tokens.sum[t][i * Block::kSubs + s]), part[p][t]);
        }
      }
    }
    ForResults([&](int p, int t) {
      acc[p][t] = Isa::Fma(part[p][t], Isa::Load(strip.min[place][p]), acc[p][t]);
    });
  }
};

}  // namespace llmrun::generic
