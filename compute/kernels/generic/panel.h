// Quantized weights as the product reads them: panels of 16 rows, one row a lane. Four columns of
// all 16 rows make a group of 64 bytes, so that the four activations that belong to it are the same
// for every lane; activations come by broadcast.
//
// Two kinds of type. Of blocks: each 32 columns have a scale (and a minimum) of their own. Of
// superblocks: 256 columns have a scale and a minimum, which integers of 16 or 32 columns multiply.
//
// An instruction set may use products of words (Isa::kUsesWords). It has signed bytes (kOffset 128)
// as words: each group is two vectors then, of columns 0 and 2 and of columns 1 and 3 of the four.
// And where superblocks have integers to multiply with, they stand in both words of a lane, so that
// they are multiplied with when sums of words are made wider.
//
// A row is summed in sections of 4096 columns; in a section, blocks in 16 classes (the number of
// the block modulo 16), superblocks in 4, and then the classes, one after the other: the lanes of a
// product that goes along a row. Strips lie in the order of this sum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"

namespace llmrun::generic {

inline constexpr int kPanelRows = 16;
inline constexpr int kGroupCols = 4;
inline constexpr int kGroupBytes = 64;
inline constexpr int kSuperCols = 256;
inline constexpr int kSuperBlocks = kSuperCols / kQuantBlock;
inline constexpr int kSectionCols = 4096;
inline constexpr int kSectionBlocks = kSectionCols / kQuantBlock;
inline constexpr int kSectionSupers = kSectionCols / kSuperCols;

// The blocks of memory of a format.
template <class Format>
struct BlockOf {
  static constexpr int kCols = Format::kSuper ? kSuperCols : kQuantBlock;
  static constexpr int kGroups = kCols / kGroupCols;
  static constexpr int kSubs = kCols / Format::kSubCols;
  static constexpr int kClasses = Format::kSuper ? 4 : 16;
  // Those of n blocks of a section.
  static constexpr int ClassesOf(int n) { return n < kClasses ? n : kClasses; }
  // Where the i-th of n blocks of a section stands in a strip.
  static constexpr int Place(int i, int n) {
    const int of_class = i % kClasses;
    const int longer = n % kClasses;
    return of_class * (n / kClasses) + (of_class < longer ? of_class : longer) + i / kClasses;
  }
};

// Bytes of a weight in a strip.
template <class Format>
inline constexpr int kWeightBytes = Format::kOffset == 128 && Format::kUsesWords ? 2 : 1;
// Whether sub-blocks are scaled as words.
template <class Format>
inline constexpr bool kScalesWords = (Format::kUsesWords && Format::kHasSubs &&
                                      Format::kOffset != 128);

// A section of P panels, side by side: the weights, plus the offset of the format, and their
// scales.
template <class Format, int P>
struct StripQuants {
  alignas(64) std::byte q[kSectionCols / kGroupCols][P][kGroupBytes * kWeightBytes<Format>];
};
template <class Format, int P>
struct BlockStrip : StripQuants<Format, P> {
  alignas(64) float scale[kSectionBlocks][P][kPanelRows];
  alignas(64) float min[Format::kHasMin ? kSectionBlocks : 1][P][kPanelRows];
};
template <class Format, int P>
struct SuperStrip : StripQuants<Format, P> {
  static constexpr int kSubs = kSectionCols / Format::kSubCols;
  static constexpr bool kHasStart = kScalesWords<Format> && Format::kOffset != 0;
  alignas(64) int32_t sub[Format::kHasSubs ? kSubs : 1][P][kPanelRows];
  // Of 32 columns: -offset x those of both sub-blocks, as words.
  alignas(64) int32_t start[kHasStart ? kSectionBlocks : 1][P][kPanelRows];
  alignas(64) float scale[kSectionSupers][P][kPanelRows];
  alignas(64) float sub_min[Format::kHasMin ? kSubs : 1][P][kPanelRows];
  alignas(64) float min[Format::kHasMin ? kSectionSupers : 1][P][kPanelRows];
};

template <class Format, int P, bool kSuper = Format::kSuper>
struct StripOf {
  using Type = BlockStrip<Format, P>;
};
template <class Format, int P>
struct StripOf<Format, P, true> {
  using Type = SuperStrip<Format, P>;
};
template <class Format, int P>
using Strip = typename StripOf<Format, P>::Type;

}  // namespace llmrun::generic
