// AVX-512 and AMX for int8.
#pragma once

#include "compute/kernels/amx/tiles.h"
#include "compute/kernels/avx512/isa.h"

namespace llmrun::amx {

struct Isa : avx512::Isa {
  using Tiles = amx::Tiles;
};

}  // namespace llmrun::amx
