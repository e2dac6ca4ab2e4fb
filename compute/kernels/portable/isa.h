// The instruction set of any machine, with the shapes of tiles that suit it.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/portable/peak.h"

namespace llmrun::portable {

struct Isa : Peak {
  // Of quantized weights (generic/few_tokens.h); in few_tokens.cc.
  static void FewTokens(const MatmulArgs& args);

  // Float products: the most rows and tokens of a tile; the rows that tiles of tokens pass by in
  // turn, which are to stay in the second level cache.
  static constexpr int kFloatRows = 1;
  static constexpr int kFloatTokens = 4;
  static constexpr int kFloatStripRows = 128;
  // The rows at a time for up to kFloatTokens, which come in one stream from memory; and how far
  // ahead this is prefetched (kPrefetchesAll).
  static constexpr int StreamRows(int /*tokens*/) { return 1; }
  static constexpr int kFloatAheadBytes = 2048;

  // Panels (generic/panel.h): the most of them side by side, the most tokens of a tile.
  static constexpr int kPanels = 1;
  static constexpr int PanelTokens(int /*sub_cols*/) { return 4; }

  // Packed rows (generic/packed_matmul.h): the most tokens of a tile, and how many tiles; what is
  // more goes through panels.
  static constexpr int kFewTokens = 1;
  static constexpr int FewTiles(bool /*superblocks*/) { return 2; }
  // Whether the sums of a superblock are scaled one by one as they come, which takes fewer
  // registers, or all together.
  static constexpr bool kScalesAtOnce = false;
  // Whether few tokens prefetch weights of blocks of 32 columns and of 16-bit floats, too. They
  // always prefetch superblocks: the instructions of one fill the processor's window by themselves;
  // and how far ahead.
  static constexpr bool kPrefetchesAll = false;
  static constexpr int kSuperblockAheadBytes = 6144;

  // Attention: the most queries of a tile, and the vectors of positions or elements beside so many.
  static constexpr int kQueryRows = 1;
  static constexpr int QueryVectors(int /*rows*/) { return 1; }
};

}  // namespace llmrun::portable
