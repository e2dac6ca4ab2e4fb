// Scores of rows and 16 positions at a time: q[0] * key[0] + q[1] * key[1] + ..., one fused
// multiply-add after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/attention_rows.h"
#include "compute/kernels/generic/kv_elements.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// R rows and V groups; the scores of the first group go to `at`.
template <class Isa, class Elements, int R, int V>
void ScoreTile(const ChunkRows<Isa>& rows, int row, const std::byte* groups, int64_t group_bytes,
               int64_t at) {
  using F = typename Isa::F;
  constexpr int kBlock = Elements::kBlock;
  F sums[R][V];
  LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) sums[r][v] = Isa::Zero();
  }
  const float* q[R];
  LLMRUN_UNROLL for (int r = 0; r < R; ++r) q[r] = rows.q[row + r];
  for (int64_t d = 0; d < rows.head_dim; d += kBlock) {
    const std::byte* block = groups + d / kBlock * (kLanes * Elements::kBlockBytes);
    typename Elements::Scale scale[V];
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
      scale[v] = Elements::KeyScale(block + v * group_bytes);
    }
    for (int i = 0; i < kBlock; ++i) {
      F key[V];
      LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
        key[v] = Elements::Key(block + v * group_bytes, i, scale[v]);
      }
      LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
        const F x = Isa::Set(q[r][d + i]);
        LLMRUN_UNROLL for (int v = 0; v < V; ++v) sums[r][v] = Isa::Fma(x, key[v], sums[r][v]);
      }
    }
  }
  LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
      Isa::Store(rows.scores[row + r] + at + v * kLanes, sums[r][v]);
    }
  }
}

// Rows from `row` on, R at a time, the last ones fewer, with a strip of groups.
template <class Isa, class Elements, int R>
void ScoreStrip(const ChunkRows<Isa>& rows, int row, const std::byte* groups, int64_t group_bytes,
                int64_t at) {
  constexpr int V = Isa::QueryVectors(R);
  for (; row + R <= rows.n; row += R) {
    const int64_t end = (rows.SeenOfStrip(row + R - 1, at) + kLanes - 1) / kLanes;
    int64_t g = rows.FromOfStrip(row, at) / kLanes;
    for (; g + V <= end; g += V) {
      ScoreTile<Isa, Elements, R, V>(rows, row, groups + g * group_bytes, group_bytes,
                                     at + g * kLanes);
    }
    for (; g < end; ++g) {
      ScoreTile<Isa, Elements, R, 1>(rows, row, groups + g * group_bytes, group_bytes,
                                     at + g * kLanes);
    }
  }
  if constexpr (R > 1) ScoreStrip<Isa, Elements, R / 2>(rows, row, groups, group_bytes, at);
}

// As an F32 cache has them.
template <class Isa, class Elements>
void DecodeKeys(const std::byte* groups, int64_t n_groups, int64_t head_dim, float* out) {
  constexpr int kBlock = Elements::kBlock;
  for (int64_t g = 0; g < n_groups; ++g) {
    const std::byte* group = groups + g * kLanes * KvRowBytesOf<Isa, Elements>(head_dim);
    float* to = out + g * kLanes * QuerySums<Isa>::Padded(head_dim);
    for (int64_t d = 0; d < head_dim; d += kBlock) {
      const std::byte* block = group + d / kBlock * (kLanes * Elements::kBlockBytes);
      const auto scale = Elements::KeyScale(block);
      for (int i = 0; i < kBlock; ++i) {
        Isa::Store(to + (d + i) * kLanes, Elements::Key(block, i, scale));
      }
    }
  }
}

// Of a chunk whose keys begin at `keys`; `values` are to follow. Many rows share what is decoded
// once.
template <class Isa, class Elements>
void ScoreChunk(const ChunkRows<Isa>& rows, const std::byte* keys, const std::byte* values,
                int64_t value_bytes, float* decoded) {
  using Floats = CachedFloats<Isa, F32<Isa>>;
  constexpr int R = Isa::kQueryRows;
  const int64_t row_bytes = KvRowBytesOf<Isa, Elements>(rows.head_dim);
  const bool decode = rows.n > R && Elements::kBlockBytes != Floats::kBlockBytes;
  for (int64_t at = rows.FirstStrip(); at < rows.seen[rows.n - 1]; at += kStrip) {
    const std::byte* groups = keys + at * row_bytes;
    PrefetchStrip<Isa>(values + at * value_bytes, value_bytes);
    if (!decode) {
      ScoreStrip<Isa, Elements, R>(rows, 0, groups, kLanes * row_bytes, at);
      continue;
    }
    const int64_t n_groups = (rows.SeenOfStrip(rows.n - 1, at) + kLanes - 1) / kLanes;
    DecodeKeys<Isa, Elements>(groups, n_groups, rows.head_dim, decoded);
    ScoreStrip<Isa, Floats, R>(rows, 0, reinterpret_cast<const std::byte*>(decoded),
                               kLanes * KvRowBytesOf<Isa, Floats>(rows.head_dim), at);
  }
}

}  // namespace llmrun::generic
