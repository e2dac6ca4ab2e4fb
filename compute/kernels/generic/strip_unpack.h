// Brings sections of weights from the blocks of a model file into the form that generic/panel.h
// says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/pieces.h"
#include "compute/kernels/generic/prefetch.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Where panels come from: rows of a model file, from a column on.
template <class Isa, class Format>
struct RawPanels {
  using In = SixteenRows<Isa>;
  const std::byte* w;
  int64_t row_bytes;

  static RawPanels At(const std::byte* weights, int64_t row_bytes, int64_t col) {
    return {weights + col / BlockOf<Format>::kCols * Format::kBytes, row_bytes};
  }
  RawPanels Skip(int64_t rows) const { return {w + rows * row_bytes, row_bytes}; }
  LLMRUN_INLINE In Block(int panel, int i) const {
    return {w + i * Format::kBytes + panel * kPanelRows * row_bytes, row_bytes};
  }
  // The next blocks of these panels.
  WeightsAhead Ahead(int panels, int blocks) const {
    return {w, row_bytes, panels * kPanelRows, blocks * Format::kBytes};
  }
  // Where the i-th of the blocks of a section stands in a strip.
  LLMRUN_INLINE static int Place(int i, int blocks) { return BlockOf<Format>::Place(i, blocks); }
};
// Or packed rows, whose blocks lie in the order of strips.
template <class Isa, class Format>
struct PackedPanels {
  using In = PackedRows<Isa, typename Format::Order>;
  const std::byte* w;
  int64_t row_bytes;

  static PackedPanels At(const std::byte* weights, int64_t row_bytes, int64_t col) {
    return {weights + col / BlockOf<Format>::kCols * Format::kBytes * kPanelRows, row_bytes};
  }
  PackedPanels Skip(int64_t rows) const { return {w + rows * row_bytes, row_bytes}; }
  LLMRUN_INLINE In Block(int panel, int i) const {
    return In{w + (i * Format::kBytes + panel * row_bytes) * kPanelRows};
  }
  WeightsAhead Ahead(int panels, int blocks) const {
    return {w, row_bytes * kPanelRows, panels, int64_t{blocks} * Format::kBytes * kPanelRows};
  }
  LLMRUN_INLINE static int Place(int i, int /*blocks*/) { return i; }
};

template <class Isa, class Format>
struct StripUnpack {
  using Block = BlockOf<Format>;

  // P panels, `blocks` of memory.
  template <int P, class Source>
  static void Panels(const Source& source, int blocks, Strip<Format, P>* strip) {
    using In = typename Source::In;
    for (int i = 0; i < blocks; ++i) {
      const int place = Source::Place(i, blocks);
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        const In in = source.Block(p, i);
        Format::Quants(in, [&](int piece, const typename In::Pieces& groups) {
          LLMRUN_UNROLL for (int g = 0; g < 4; ++g) {
            std::byte* to = strip->q[place * Block::kGroups + piece * 4 + g][p];
            if constexpr (kWeightBytes<Format> == 2) {
              Isa::StoreWide(to, groups.v[g]);
            } else {
              Isa::StoreGroup(to, groups.v[g]);
            }
          }
        });
        Scales(in, place, p, strip);
      }
    }
  }

 private:
  using I = typename Isa::I;

  template <int P>
  LLMRUN_INLINE static void PutSub(int at, int p, I x, SuperStrip<Format, P>* strip) {
    if constexpr (kScalesWords<Format>) x = Isa::PairOfWords(x, x);
    Isa::StoreInts(strip->sub[at][p], x);
  }
  // `x`: of two sub-blocks.
  template <int P>
  LLMRUN_INLINE static void PutStart(int at, int p, const I* x, SuperStrip<Format, P>* strip) {
    const I factor = Isa::SetInt(-Format::kOffset);
    Isa::StoreInts(strip->start[at][p],
                   Isa::PairOfWords(Isa::MulInts(x[0], factor), Isa::MulInts(x[1], factor)));
  }
  // Of one block of each of 16 rows.
  template <int P, class In>
  LLMRUN_INLINE static void Scales(const In& in, int place, int p, BlockStrip<Format, P>* strip) {
    Isa::Store(strip->scale[place][p], Format::Scale(in));
    if constexpr (Format::kHasMin) Isa::Store(strip->min[place][p], Format::Min(in));
  }
  template <int P, class In>
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
        PutSub(at, p, subs[s / 4].v[s % 4], strip);
        if constexpr (SuperStrip<Format, P>::kHasStart) {
          if (s % 2 == 1) PutStart(at / 2, p, subs[s / 4].v + s % 4 - 1, strip);
        }
        if constexpr (Format::kHasMin) {
          Isa::Store(strip->sub_min[at][p], Isa::ToFloat(mins[s / 4].v[s % 4]));
        }
      }
    }
  }
};

}  // namespace llmrun::generic
