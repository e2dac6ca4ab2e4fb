// Brings sections of weights from the blocks of a model file into the form that generic/panel.h
// says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

template <class Isa, class Format>
struct StripUnpack {
  using Block = BlockOf<Format>;
  using In = SixteenRows<Isa>;

  // `w`: the first block of the first row; P panels, `blocks` of memory.
  template <int P>
  static void Panels(const std::byte* w, int64_t stride, int blocks, Strip<Format, P>* strip) {
    for (int i = 0; i < blocks; ++i) {
      const int place = Block::Place(i, blocks);
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        const In in{w + i * Format::kBytes + p * kPanelRows * stride, stride};
        Format::Quants(in, [&](int piece, const typename In::Pieces& groups) {
          LLMRUN_UNROLL for (int g = 0; g < 4; ++g) {
            Isa::StoreGroup(strip->q[place * Block::kGroups + piece * 4 + g][p], groups.v[g]);
          }
        });
        Scales(in, place, p, strip);
      }
    }
  }

 private:
  // Of one block of each of 16 rows.
  template <int P>
  LLMRUN_INLINE static void Scales(const In& in, int place, int p, BlockStrip<Format, P>* strip) {
    Isa::Store(strip->scale[place][p], Format::Scale(in));
    if constexpr (Format::kHasMin) Isa::Store(strip->min[place][p], Format::Min(in));
  }
  template <int P>
  LLMRUN_INLINE static void Scales(const In& in, int place, int p, SuperStrip<Format, P>* strip) {
    Isa::Store(strip->scale[place][p], Format::Scale(in));
    if constexpr (Format::kHasMin) Isa::Store(strip->min[place][p], Format::Min(in));
    if constexpr (Format::kHasSubs) {
      typename In::Ints subs[Block::kSubs / 4];
      typename In::Ints mins[Block::kSubs / 4];
      if constexpr (Format::kHasMin) {
        Format::Subs(in, subs, mins);
      } else {
        Format::Subs(in, subs);
      }
      LLMRUN_UNROLL for (int s = 0; s < Block::kSubs; ++s) {
        const int at = place * Block::kSubs + s;
        Isa::StoreInts(strip->sub[at][p], subs[s / 4].v[s % 4]);
        if constexpr (Format::kHasMin) {
          Isa::Store(strip->sub_min[at][p], Isa::ToFloat(mins[s / 4].v[s % 4]));
        }
      }
    }
  }
};

}  // namespace llmrun::generic
