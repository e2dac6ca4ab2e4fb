// How a matrix product is cut into tiles: the same walk for every type and instruction set.
#pragma once

#include <cstdint>

#include "compute/kernels.h"

namespace llmrun {

inline constexpr int kTileRows = 4;
inline constexpr int kTileTokens = 4;

// Computes n_rows (1..kTileRows) x n_tokens (1..kTileTokens) results over all columns.
using TileKernel = void (*)(const MatmulArgs& args, int64_t row, int n_rows, int64_t token,
                            int n_tokens);

// Calls `tile` for the whole of args. Tokens come in groups whose activations stay in the second
// level cache; inside a group each tile of rows is read from memory once.
void RunTiles(const MatmulArgs& args, TileKernel tile);

}  // namespace llmrun
