#include "compute/kernels/tiles.h"

#include <algorithm>

namespace llmrun {
namespace {

// Half of a small second level cache.
constexpr int64_t kTokenGroupBytes = 256 << 10;

int64_t TokensPerGroup(const MatmulArgs& args) {
  const int64_t token_bytes = args.n_cols * static_cast<int64_t>(sizeof(float));
  const int64_t tokens = kTokenGroupBytes / std::max<int64_t>(token_bytes, 1);
  return std::max<int64_t>(tokens / kTileTokens, 1) * kTileTokens;
}

}  // namespace

void RunTiles(const MatmulArgs& args, TileKernel tile) {
  const int64_t group = TokensPerGroup(args);
  for (int64_t begin = 0; begin < args.n_tokens; begin += group) {
    const int64_t end = std::min(begin + group, args.n_tokens);
    for (int64_t row = args.row_begin; row < args.row_end; row += kTileRows) {
      const auto n_rows = static_cast<int>(std::min<int64_t>(kTileRows, args.row_end - row));
      for (int64_t token = begin; token < end; token += kTileTokens) {
        const auto n_tokens = static_cast<int>(std::min<int64_t>(kTileTokens, end - token));
        tile(args, row, n_rows, token, n_tokens);
      }
    }
  }
}

}  // namespace llmrun
