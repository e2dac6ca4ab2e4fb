// The tile unit of AMX for int8 (Intel SDM, volume 1, chapter 18), or the same computed without it.
// A tile has up to 16 rows of 64 bytes. TDPBSUD multiplies a tile of tokens, one a row, with a tile
// of weights, four columns of 16 rows of weights in each 64 bytes, which is how strips have them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/panel.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::amx {

// Of the calling thread. Whoever else uses the unit in between would change what it does.
struct TileState {
  bool emulated = false;  // the processor has no such unit
  int tokens = 0;
  int columns = 0;
};

struct Tiles {
  static constexpr int kTokens = 16;

  // Tiles 0 and 1 are sums, 2 tokens, 4 and 5 weights. (Intrinsics want literals.)
  static void Configure(int tokens, int columns) {
    state.tokens = tokens;
    state.columns = columns;
    if (state.emulated) return;
    Config config;
    config.Set(0, tokens, 64);
    config.Set(1, tokens, 64);
    config.Set(2, tokens, columns);
    config.Set(4, columns / generic::kGroupCols, 64);
    config.Set(5, columns / generic::kGroupCols, 64);
    _tile_loadconfig(&config);
  }
  static void Release() {
    if (!state.emulated) _tile_release();
  }

  template <int P>
  static void Dots(const int8_t* x, int64_t x_stride, const std::byte* groups,
                   int32_t (&out)[P][kTokens][generic::kPanelRows]) {
    static_assert(P == 1 || P == 2);
    constexpr int64_t kStride = P * generic::kGroupBytes;
    if (state.emulated) {
      LLMRUN_UNROLL for (int p = 0; p < P; ++p) {
        Emulate(x, x_stride, groups + p * generic::kGroupBytes, kStride, out[p]);
      }
      return;
    }
    _tile_loadd(2, x, x_stride);
    _tile_zero(0);
    _tile_loadd(4, groups, kStride);
    _tile_dpbsud(0, 2, 4);
    _tile_stored(0, out[0], generic::kGroupBytes);
    if constexpr (P == 2) {
      _tile_zero(1);
      _tile_loadd(5, groups + generic::kGroupBytes, kStride);
      _tile_dpbsud(1, 2, 5);
      _tile_stored(1, out[1], generic::kGroupBytes);
    }
  }

  // All eight tiles of the full size, zeros in them.
  static void ConfigureAll() {
    Config config;
    for (int tile = 0; tile < 8; ++tile) config.Set(tile, 16, 64);
    _tile_loadconfig(&config);
  }

  static thread_local constinit TileState state;

 private:
  struct alignas(64) Config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};

    LLMRUN_INLINE void Set(int tile, int n_rows, int bytes) {
      rows[tile] = static_cast<uint8_t>(n_rows);
      row_bytes[tile] = static_cast<uint16_t>(bytes);
    }
  };
  static_assert(sizeof(Config) == 64);

  static void Emulate(const int8_t* x, int64_t x_stride, const std::byte* groups, int64_t stride,
                      int32_t (&out)[kTokens][generic::kPanelRows]) {
    for (int t = 0; t < state.tokens; ++t) {
      for (int row = 0; row < generic::kPanelRows; ++row) {
        int32_t sum = 0;
        for (int c = 0; c < state.columns; ++c) {
          const std::byte w = groups[c / generic::kGroupCols * stride + row * generic::kGroupCols +
                                     c % generic::kGroupCols];
          sum += x[t * x_stride + c] * static_cast<int32_t>(w);
        }
        out[t][row] = sum;
      }
    }
  }
};

}  // namespace llmrun::amx
