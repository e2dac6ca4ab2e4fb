// The kernels that gain from AMX: products of quantized weights with several tokens. All others are
// those of AVX-512.
#include "compute/kernels.h"

#include "compute/kernels/amx/isa.h"
#include "compute/kernels/generic/formats.h"
#include "compute/kernels/generic/matmul.h"
#include "compute/kernels/generic/panel_matmul.h"
#include "compute/kernels/generic/tile_product.h"
#include "compute/kernels/tables.h"

namespace llmrun::amx {

thread_local constinit TileState Tiles::state;

namespace {

// With fewer, a tile is mostly empty, and weights are unpacked for little.
constexpr int64_t kFewestTokens = 5;

bool CanUseTiles(const MatmulArgs& args) {
  return UsesQuantizedActivations(args.dtype) && args.n_cols % MatmulColumns(args.dtype) == 0;
}

// Whole panels here, the rows around them by the kernels of AVX-512.
template <class Format, int kHeadBytes, bool kScalesRows>
struct TileMatmul {
  MatmulArgs rest;  // rows yet to do

  void Run() {
    const int64_t end = rest.row_end;
    const int64_t packed_end = end < rest.packed_rows ? end : rest.packed_rows;
    if (rest.row_begin < packed_end) {
      const int64_t first = (rest.row_begin + kPanelRows - 1) / kPanelRows * kPanelRows;
      Others(first < packed_end ? first : packed_end);
      Panels<generic::PackedPanels<Isa, Format>>(packed_end, kPanelRows * kHeadBytes);
      Others(packed_end);
    }
    Panels<generic::RawPanels<Isa, Format>>(end, kHeadBytes);
    Others(end);
  }

 private:
  static constexpr int kPanelRows = generic::kPanelRows;

  void Others(int64_t end) {
    if (rest.row_begin >= end) return;
    rest.row_end = end;
    avx512::kKernels.matmul(rest);
    rest.row_begin = end;
  }
  template <class Source>
  void Panels(int64_t end, int64_t head_bytes) {
    const int64_t rows = (end - rest.row_begin) / kPanelRows * kPanelRows;
    if (rows <= 0) return;
    rest.row_end = rest.row_begin + rows;
    MatmulArgs whole = rest;
    whole.weights += head_bytes;
    generic::PanelMatmul<Isa, Format>::template WholePanels<Source>(whole);
    if constexpr (kScalesRows) generic::ScaleRows<Isa, kHeadBytes>(rest);
    rest.row_begin = rest.row_end;
  }
};

template <bool kEmulated>
bool Matmul(const MatmulArgs& args) {
  if (args.n_tokens < kFewestTokens || !CanUseTiles(args)) return avx512bf16::Table().matmul(args);
  Tiles::state.emulated = kEmulated;
  return generic::WithFormat<Isa>(args.dtype,
                                  [&]<class Format, int kHeadBytes, bool kScalesRows>(
                                      generic::OfType<Format, kHeadBytes, kScalesRows>) {
                                    TileMatmul<Format, kHeadBytes, kScalesRows>{args}.Run();
                                    return true;
                                  });
}

// Four tiles of sums, so that products need not wait for each other.
int64_t PeakInt8(int64_t rounds) {
  Tiles::ConfigureAll();
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbsud(0, 4, 5);
    _tile_dpbsud(1, 4, 5);
    _tile_dpbsud(2, 4, 5);
    _tile_dpbsud(3, 4, 5);
  }
  Tiles::Release();
  return rounds * 4 * 16 * 16 * 64;
}

Kernels TableOf(IsaLevel level) {
  Kernels kernels = avx512bf16::Table();
  kernels.isa = level;
  const bool emulated = level == IsaLevel::kAmxEmulated;
  kernels.matmul = emulated ? Matmul<true> : Matmul<false>;
  if (!emulated) kernels.peak_int8 = PeakInt8;
  return kernels;
}

}  // namespace

const Kernels& Table() {
  static const Kernels table = TableOf(IsaLevel::kAmx);
  return table;
}
const Kernels& EmulatedTable() {
  static const Kernels table = TableOf(IsaLevel::kAmxEmulated);
  return table;
}

}  // namespace llmrun::amx
