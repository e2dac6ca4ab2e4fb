// AVX2, FMA and F16C: sixteen lanes in two registers, with the shapes of tiles that suit it.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/avx2/half_floats.h"
#include "compute/kernels/avx2/peak.h"

namespace llmrun::avx2 {

struct Isa : Peak {
  static void FewTokens(const MatmulArgs& args);
  using Half = HalfFloats;
  static constexpr int kFloatRows = 3;
  static constexpr int kFloatTokens = 4;
  static constexpr int kFloatStripRows = 60;
  static constexpr int StreamRows(int /*tokens*/) { return 1; }
  static constexpr int kFloatAheadBytes = 2048;
  static constexpr int kPanels = 1;
  static constexpr int PanelTokens(int /*sub_cols*/) { return 3; }
  static constexpr int kFewTokens = 4;
  static constexpr int FewTiles(bool superblocks) { return superblocks ? 1 : 2; }
  static constexpr bool kScalesAtOnce = true;
  static constexpr bool kPrefetchesAll = true;
  static constexpr int kSuperblockAheadBytes = 6144;
  static constexpr int kQueryRows = 4;
  static constexpr int QueryVectors(int rows) { return 4 / rows; }
};

}  // namespace llmrun::avx2
