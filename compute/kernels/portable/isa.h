// The instruction set of any machine, with the shapes of tiles that suit it.
#pragma once

#include "compute/kernels/portable/peak.h"

namespace llmrun::portable {

struct Isa : Peak {
  // Float products: the most rows and tokens of a tile.
  static constexpr int kFloatRows = 1;
  static constexpr int kFloatTokens = 4;

  // Panels (generic/panel.h): the most of them side by side, the most tokens of a tile.
  static constexpr int kPanels = 1;
  static constexpr int PanelTokens(int /*sub_cols*/) { return 4; }

  // Packed rows (generic/packed_matmul.h): the most tokens of a tile.
  static constexpr int kFewTokens = 1;
  // Of one token, whether the sums of a superblock are scaled one by one as they come, which takes
  // fewer registers, or all together.
  static constexpr bool kScalesAtOnce = false;

  // Attention: the most queries of a tile, and the vectors of positions or elements beside so many.
  static constexpr int kQueryRows = 1;
  static constexpr int QueryVectors(int /*rows*/) { return 1; }
};

}  // namespace llmrun::portable
