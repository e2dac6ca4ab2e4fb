// Sums of weighted values: one fused multiply-add after the other, over ascending positions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/attention_rows.h"
#include "compute/kernels/generic/kv_elements.h"
#include "compute/kernels/generic/unroll.h"

namespace llmrun::generic {

// Adds positions [at, at + n) of the chunk, whose values begin at `values`, to V vectors of R rows.
template <class Isa, class Elements, int R, int V>
void SumTile(const ChunkRows<Isa>& rows, int row, const std::byte* values, int64_t at, int64_t n,
             int64_t vector) {
  using F = typename Isa::F;
  const int64_t row_bytes = KvRowBytesOf<Isa, Elements>(rows.value_dim);
  const float* weights[R];
  F sums[R][V];
  LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
    weights[r] = rows.scores[row + r] + at;
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
      sums[r][v] = Isa::Load(rows.sums[row + r] + (vector + v) * kLanes);
    }
  }
  for (int64_t p = 0; p < n; ++p) {
    F value[V];
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
      value[v] = Elements::Value(values + p * row_bytes, vector + v);
    }
    LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
      const F weight = Isa::Set(weights[r][p]);
      LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
        sums[r][v] = Isa::Fma(weight, value[v], sums[r][v]);
      }
    }
  }
  LLMRUN_UNROLL for (int r = 0; r < R; ++r) {
    LLMRUN_UNROLL for (int v = 0; v < V; ++v) {
      Isa::Store(rows.sums[row + r] + (vector + v) * kLanes, sums[r][v]);
    }
  }
}

template <class Isa, class Elements, int R>
void SumVectors(const ChunkRows<Isa>& rows, int row, const std::byte* values, int64_t at,
                int64_t n) {
  constexpr int V = Isa::QueryVectors(R);
  if (n <= 0) return;
  const int64_t end = QuerySums<Isa>::Padded(rows.value_dim) / kLanes;
  int64_t vector = 0;
  for (; vector + V <= end; vector += V) {
    SumTile<Isa, Elements, R, V>(rows, row, values, at, n, vector);
  }
  for (; vector < end; ++vector) SumTile<Isa, Elements, R, 1>(rows, row, values, at, n, vector);
}

// Rows from `row` on, R at a time, the last ones fewer, with a strip of values. What only some of
// the R rows see, they go through one by one.
template <class Isa, class Elements, int R>
void SumStrip(const ChunkRows<Isa>& rows, int row, const std::byte* values, int64_t at) {
  const int64_t row_bytes = KvRowBytesOf<Isa, Elements>(rows.value_dim);
  for (; row + R <= rows.n; row += R) {
    // What all of them see: the last one from where, the first one up to where.
    const int64_t begin = rows.FromOfStrip(row + R - 1, at);
    const int64_t end = rows.SeenOfStrip(row, at);
    const auto alone = [&](int r, int64_t first, int64_t last) {
      SumVectors<Isa, Elements, 1>(rows, row + r, values + first * row_bytes, at + first,
                                   last - first);
    };
    for (int r = 0; r < R; ++r) {
      const int64_t last = rows.SeenOfStrip(row + r, at);
      alone(r, rows.FromOfStrip(row + r, at), begin < last ? begin : last);
    }
    SumVectors<Isa, Elements, R>(rows, row, values + begin * row_bytes, at + begin, end - begin);
    for (int r = 1; r < R; ++r) {
      alone(r, begin < end ? end : begin, rows.SeenOfStrip(row + r, at));
    }
  }
  if constexpr (R > 1) SumStrip<Isa, Elements, R / 2>(rows, row, values, at);
}

// As an F32 cache has them.
template <class Isa, class Elements>
void DecodeValues(const std::byte* values, int64_t n, int64_t value_dim, float* out) {
  const int64_t vectors = QuerySums<Isa>::Padded(value_dim) / kLanes;
  for (int64_t p = 0; p < n; ++p) {
    const std::byte* row = values + p * KvRowBytesOf<Isa, Elements>(value_dim);
    for (int64_t i = 0; i < vectors; ++i) {
      Isa::Store(out + (p * vectors + i) * kLanes, Elements::Value(row, i));
    }
  }
}

// Of a chunk whose values begin at `values`; those keys are to follow. Many rows share what is
// decoded once.
template <class Isa, class Elements>
void SumChunk(const ChunkRows<Isa>& rows, const std::byte* values, const std::byte* keys,
              int64_t key_bytes, float* decoded) {
  using Floats = CachedFloats<Isa, F32<Isa>>;
  constexpr int R = Isa::kQueryRows;
  const int64_t row_bytes = KvRowBytesOf<Isa, Elements>(rows.value_dim);
  const bool decode = rows.n > R && Elements::kBlockBytes != Floats::kBlockBytes;
  for (int64_t at = rows.FirstStrip(); at < rows.seen[rows.n - 1]; at += kStrip) {
    const std::byte* strip = values + at * row_bytes;
    PrefetchStrip<Isa>(keys + at * key_bytes, key_bytes);
    if (!decode) {
      SumStrip<Isa, Elements, R>(rows, 0, strip, at);
      continue;
    }
    DecodeValues<Isa, Elements>(strip, rows.SeenOfStrip(rows.n - 1, at), rows.value_dim, decoded);
    SumStrip<Isa, Floats, R>(rows, 0, reinterpret_cast<const std::byte*>(decoded), at);
  }
}

}  // namespace llmrun::generic
