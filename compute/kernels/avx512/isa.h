// AVX-512 F, BW, DQ, VL and VNNI, with the shapes of tiles that suit it.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/avx512/peak.h"

namespace llmrun::avx512 {

struct Isa : Peak {
  static void FewTokens(const MatmulArgs& args);
  static constexpr bool kHasTables = false;
  static constexpr int kFloatRows = 4;
  static constexpr int kFloatTokens = 6;
  static constexpr int kFloatStripRows = 128;
  static constexpr int StreamRows(int tokens) { return tokens == 1 ? 1 : 4; }
  static constexpr int kFloatAheadBytes = 4096;
  static constexpr int kPanels = 2;
  static constexpr int PanelTokens(int sub_cols) { return sub_cols == 16 ? 4 : 6; }
  static constexpr int kFewTokens = 4;
  static constexpr int FewTiles(bool /*superblocks*/) { return 4; }
  static constexpr bool kScalesAtOnce = false;
  static constexpr bool kPrefetchesAll = true;
  static constexpr int kSuperblockAheadBytes = 10240;
  static constexpr int kQueryRows = 8;
  static constexpr int QueryVectors(int rows) { return rows == 8 ? 2 : 4; }
};

}  // namespace llmrun::avx512
