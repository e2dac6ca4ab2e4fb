// The matrix product of an instruction set: which tiles serve which type.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/float_tile.h"
#include "compute/kernels/generic/quant_tile.h"
#include "compute/kernels/generic/tile_cut.h"
#include "compute/kernels/tiles.h"

namespace llmrun::generic {

// Formats: a struct with the members Q8_0, Q4_0, Q4_K and Q6_K of the instruction set.
// Null when there is none for the type, or n_cols is no multiple of its block.
template <class Isa, class Formats>
TileKernel FindTile(DType type, int64_t n_cols) {
  const bool blocks_fit = n_cols % kQuantBlock == 0;
  const bool chunks_fit = n_cols % kChunk == 0;
  switch (type) {
    case DType::kF32:
      return CutTile<Isa, FloatTiles<Isa, F32<Isa>>>;
    case DType::kF16:
      return CutTile<Isa, FloatTiles<Isa, F16<Isa>>>;
    case DType::kBF16:
      return CutTile<Isa, FloatTiles<Isa, Bf16<Isa>>>;
    case DType::kQ8_0:
      return blocks_fit ? CutTile<Isa, QuantTiles<Isa, typename Formats::Q8_0>> : nullptr;
    case DType::kQ4_0:
      return blocks_fit ? CutTile<Isa, QuantTiles<Isa, typename Formats::Q4_0>> : nullptr;
    case DType::kQ4_K:
      return chunks_fit ? CutTile<Isa, QuantTiles<Isa, typename Formats::Q4_K>> : nullptr;
    case DType::kQ6_K:
      return chunks_fit ? CutTile<Isa, QuantTiles<Isa, typename Formats::Q6_K>> : nullptr;
    default:
      return nullptr;
  }
}

template <class Isa, class Formats>
bool Matmul(const MatmulArgs& args) {
  const TileKernel tile = FindTile<Isa, Formats>(args.dtype, args.n_cols);
  if (tile == nullptr) return false;
  RunTiles(args, tile);
  return true;
}

}  // namespace llmrun::generic
