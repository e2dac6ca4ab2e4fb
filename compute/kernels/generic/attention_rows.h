// Rows of queries that share keys and values, and what a chunk of positions is for them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/partial.h"

namespace llmrun::generic {

inline constexpr int kStrip = 64;  // positions that are decoded at a time
static_assert(kAttentionChunk % kStrip == 0 && kKvGroup == kLanes);

// What is worked on after something else as long: memory is asked for it beforehand.
template <class Isa>
void PrefetchStrip(const std::byte* strip, int64_t row_bytes) {
  for (int64_t i = 0; i < kStrip * row_bytes; i += 64) __builtin_prefetch(strip + i, 0, 2);
}

// What is known of a row after some positions: the sum of exp(score - most) * value, then `most`,
// the greatest score, and the sum of exp(score - most).
template <class Isa>
struct QuerySums {
  static int64_t Padded(int64_t value_dim) { return (value_dim + kLanes - 1) / kLanes * kLanes; }
  static int64_t Stride(int64_t value_dim) { return Padded(value_dim) + kLanes; }
};

// The positions that a token sees.
template <class Isa>
struct Sight {
  int64_t begin, end;

  Sight(const AttentionArgs& args, int64_t token) : begin(0), end(args.n_pos + token) {
    if (args.window > 0 && args.window < end) begin = end - args.window;
  }
  int64_t FirstChunk() const { return begin / kAttentionChunk; }
};

// What a thread needs for kAttentionRows of them.
template <class Isa>
struct AttentionScratch {
  static constexpr int64_t kScoreStride = kAttentionChunk + kLanes;  // no power of two
  static constexpr int64_t kScores = kAttentionRows * kScoreStride;
  static int64_t Sums(int64_t value_dim) {
    return kAttentionRows * QuerySums<Isa>::Stride(value_dim);
  }
  static int64_t Decoded(int64_t dim) { return kStrip * QuerySums<Isa>::Padded(dim); }
  static int64_t Floats(int64_t head_dim, int64_t value_dim) {
    return kScores + 2 * Sums(value_dim) + Decoded(head_dim > value_dim ? head_dim : value_dim);
  }

  AttentionScratch(float* at, int64_t value_dim)
      : scores(at),
        sums(scores + kScores),
        more_sums(sums + Sums(value_dim)),
        decoded(more_sums + Sums(value_dim)) {}

  float* scores;     // [kAttentionRows][kScoreStride]
  float* sums;       // [kAttentionRows][Stride()]
  float* more_sums;  // the same
  float* decoded;    // [kStrip][Padded()] of keys or values
};

// Rows of all tokens and heads, as a chunk sees them.
template <class Isa>
struct ChunkRows {
  int n = 0;
  const float* q[kAttentionRows];
  float* scores[kAttentionRows];  // [kAttentionChunk], then weights
  float* sums[kAttentionRows];
  // Positions of the chunk that the row sees: both ascending from row to row.
  int64_t from[kAttentionRows];
  int64_t seen[kAttentionRows];  // behind the last
  bool later[kAttentionRows];    // it saw some of an earlier chunk
  int64_t head_dim = 0;
  int64_t value_dim = 0;

  // Those of rows [begin, begin + count), `count` at most kAttentionRows, that see some position of
  // the chunk. The i-th of all has its sums at `first_sums` + i strides, or, if it has seen some of
  // an earlier chunk, at `more_sums`.
  ChunkRows(const AttentionArgs& args, int64_t begin, int64_t count, int64_t chunk, float* at,
            float* first_sums, float* more_sums)
      : head_dim(args.head_dim), value_dim(args.value_dim) {
    const int64_t origin = chunk * kAttentionChunk;
    for (int64_t i = begin; i < begin + count; ++i) {
      const int64_t token = i / args.n_heads;
      const Sight<Isa> sight(args, token);
      if (sight.end <= origin || sight.begin >= origin + kAttentionChunk) continue;
      q[n] = args.q + token * args.q_stride + i % args.n_heads * head_dim;
      scores[n] = at + n * AttentionScratch<Isa>::kScoreStride;
      later[n] = chunk > sight.FirstChunk();
      sums[n] =
          (later[n] ? more_sums : first_sums) + (i - begin) * QuerySums<Isa>::Stride(value_dim);
      from[n] = later[n] ? 0 : sight.begin - origin;
      const int64_t left = sight.end - origin;
      seen[n] = left < kAttentionChunk ? left : kAttentionChunk;
      ++n;
    }
  }
  // Of a strip that begins at `at`.
  int64_t FromOfStrip(int row, int64_t at) const { return InStrip(from[row] - at); }
  int64_t SeenOfStrip(int row, int64_t at) const { return InStrip(seen[row] - at); }
  int64_t FirstStrip() const { return from[0] / kStrip * kStrip; }

 private:
  static int64_t InStrip(int64_t i) { return i < 0 ? 0 : i < kStrip ? i : kStrip; }
};

}  // namespace llmrun::generic
