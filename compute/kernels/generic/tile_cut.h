// Cuts a tile of up to kTileRows x kTileTokens into the shapes that an instruction set has
// registers for: Tiles::Run<rows, tokens>(args, row, token).
#pragma once

#include "compute/kernels/tiles.h"

namespace llmrun::generic {

template <class Isa, class Tiles, int kTokens>
void CutRows(const MatmulArgs& args, int64_t row, int n_rows, int64_t token) {
  constexpr int kRows = Isa::RowsFor(kTokens);
  const int64_t end = row + n_rows;
  for (; row + kRows <= end; row += kRows) Tiles::template Run<kRows, kTokens>(args, row, token);
  if constexpr (kRows > 1) {
    for (; row < end; ++row) Tiles::template Run<1, kTokens>(args, row, token);
  }
}

template <class Isa, class Tiles>
void CutTile(const MatmulArgs& args, int64_t row, int n_rows, int64_t token, int n_tokens) {
  static_assert(kTileTokens == 4);
  const int64_t end = token + n_tokens;
  if constexpr (Isa::kMaxTokens >= 4) {
    for (; token + 4 <= end; token += 4) CutRows<Isa, Tiles, 4>(args, row, n_rows, token);
  }
  if constexpr (Isa::kMaxTokens >= 2) {
    for (; token + 2 <= end; token += 2) CutRows<Isa, Tiles, 2>(args, row, n_rows, token);
  }
  for (; token < end; ++token) CutRows<Isa, Tiles, 1>(args, row, n_rows, token);
}

}  // namespace llmrun::generic
