// Attention in chunks of positions. What a chunk is for a row does not depend on other rows, and
// chunks are put together in ascending order: so the bits do not depend on which rows are computed
// together, nor on who computes which chunk.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/generic/attention_rows.h"
#include "compute/kernels/generic/attention_scores.h"
#include "compute/kernels/generic/attention_sums.h"
#include "compute/kernels/generic/kv_elements.h"
#include "compute/kernels/generic/vector_math.h"

namespace llmrun::generic {

// scores = exp(scale * scores - most), where scale * scores is capped if a cap is given; zeros
// before `from` and up to a multiple of 16; sums[0] = most and sums[1] = their sum. A score of
// minus infinity counts as nothing.
template <class Isa>
void Weigh(float* scores, int64_t from, int64_t n, float scale, float soft_cap, float* sums) {
  using F = typename Isa::F;
  const int64_t end = (n + kLanes - 1) / kLanes * kLanes;
  if (soft_cap > 0) {
    for (int64_t i = 0; i < end; i += kLanes) {
      const F s = Isa::Mul(Isa::Load(scores + i), Isa::Set(scale));
      Isa::Store(scores + i, Capped<Isa>(s, soft_cap));
    }
    scale = 1;
  }
  for (int64_t i = 0; i < from; ++i) scores[i] = -__builtin_inff();
  for (int64_t i = n; i < end; ++i) scores[i] = -__builtin_inff();
  F most = Isa::Set(-__FLT_MAX__);
  for (int64_t i = 0; i < end; i += kLanes) {
    const F s = Isa::Mul(Isa::Load(scores + i), Isa::Set(scale));
    Isa::Store(scores + i, s);
    most = Isa::Max(most, s);
  }
  sums[0] = Isa::ReduceMax(most);
  most = Isa::Set(sums[0]);
  F sum = Isa::Zero();
  for (int64_t i = 0; i < end; i += kLanes) {
    const F weight = Exp<Isa>(Isa::Sub(Isa::Load(scores + i), most));
    Isa::Store(scores + i, weight);
    sum = Isa::Add(sum, weight);
  }
  sums[1] = Isa::ReduceAdd(sum);
}

template <class Isa>
void AttendChunk(const AttentionArgs& args, const ChunkRows<Isa>& rows, int64_t chunk,
                 float* decoded) {
  if (rows.n == 0) return;
  const int64_t padded = QuerySums<Isa>::Padded(args.value_dim);
  const int64_t first = chunk * kAttentionChunk;
  const auto key_bytes = static_cast<int64_t>(KvRowBytes(args.keys.type, args.head_dim));
  const auto value_bytes = static_cast<int64_t>(KvRowBytes(args.values.type, args.value_dim));
  const std::byte* keys = args.keys.data + first * key_bytes;
  const std::byte* values = args.values.data + first * value_bytes;
  WithKvType<Isa>(args.keys.type, [&](auto elements) {
    ScoreChunk<Isa, decltype(elements)>(rows, keys, values, value_bytes, decoded);
  });
  for (int i = 0; i < rows.n; ++i) {
    Weigh<Isa>(rows.scores[i], rows.from[i], rows.seen[i], args.scale, args.soft_cap,
               rows.sums[i] + padded);
    for (int64_t d = 0; d < padded; d += kLanes) Isa::Store(rows.sums[i] + d, Isa::Zero());
  }
  WithKvType<Isa>(args.values.type, [&](auto elements) {
    SumChunk<Isa, decltype(elements)>(rows, values, keys + kAttentionChunk * key_bytes, key_bytes,
                                      decoded);
  });
}

// sums = sums and `more`, those of a later chunk.
template <class Isa>
void Merge(float* sums, const float* more, int64_t value_dim) {
  using F = typename Isa::F;
  const int64_t padded = QuerySums<Isa>::Padded(value_dim);
  const float most = more[padded] > sums[padded] ? more[padded] : sums[padded];
  const F old_factor = Exp<Isa>(Isa::Set(sums[padded] - most));
  const F new_factor = Exp<Isa>(Isa::Set(more[padded] - most));
  const auto merged = [&](F old_sum, F new_sum) {
    return Isa::Fma(new_sum, new_factor, Isa::Mul(old_sum, old_factor));
  };
  for (int64_t d = 0; d < padded; d += kLanes) {
    Isa::Store(sums + d, merged(Isa::Load(sums + d), Isa::Load(more + d)));
  }
  float weight[kLanes];
  Isa::Store(weight, merged(Isa::Set(sums[padded + 1]), Isa::Set(more[padded + 1])));
  sums[padded] = most;
  sums[padded + 1] = weight[0];
}

// Row i of all tokens and heads, whose sums are complete.
template <class Isa>
void Finish(const AttentionArgs& args, int64_t i, const float* sums) {
  const float* all = sums + QuerySums<Isa>::Padded(args.value_dim);
  const int64_t head = i % args.n_heads;
  float sum = all[1];
  if (args.sinks != nullptr) {
    float sink[kLanes];
    Isa::Store(sink, Exp<Isa>(Isa::Set(args.sinks[head] - all[0])));
    sum += sink[0];
  }
  const float factor = 1.0F / sum;
  float* out = args.out + i / args.n_heads * args.out_stride + head * args.value_dim;
  ForLanes<Isa>(args.value_dim, [&](int64_t d, int lanes) {
    const typename Isa::F value = Isa::Mul(Isa::Load(sums + d), Isa::Set(factor));
    lanes == kLanes ? Isa::Store(out + d, value) : StorePart<Isa>(out + d, value, lanes);
  });
}

template <class Isa>
void Attention(const AttentionArgs& args) {
  const AttentionScratch<Isa> scratch(args.scratch, args.value_dim);
  const int64_t stride = QuerySums<Isa>::Stride(args.value_dim);
  const int64_t end = args.n_tokens * args.n_heads;
  for (int64_t begin = 0; begin < end; begin += kAttentionRows) {
    const int64_t count = end - begin < kAttentionRows ? end - begin : kAttentionRows;
    const int64_t most_seen = args.n_pos + (begin + count - 1) / args.n_heads;
    int64_t chunk = Sight<Isa>(args, begin / args.n_heads).FirstChunk();
    for (; chunk * kAttentionChunk < most_seen; ++chunk) {
      const ChunkRows<Isa> rows(args, begin, count, chunk, scratch.scores, scratch.sums,
                                scratch.more_sums);
      AttendChunk<Isa>(args, rows, chunk, scratch.decoded);
      for (int i = 0; i < rows.n; ++i) {
        if (!rows.later[i]) continue;
        Merge<Isa>(scratch.sums + (rows.sums[i] - scratch.more_sums), rows.sums[i], args.value_dim);
      }
    }
    for (int64_t i = 0; i < count; ++i) Finish<Isa>(args, begin + i, scratch.sums + i * stride);
  }
}

template <class Isa>
void AttendOneChunk(const AttentionArgs& args, int64_t chunk, float* sums) {
  const AttentionScratch<Isa> scratch(args.scratch, args.value_dim);
  const int64_t stride = QuerySums<Isa>::Stride(args.value_dim);
  sums += chunk * args.n_heads * stride;
  for (int64_t begin = 0; begin < args.n_heads; begin += kAttentionRows) {
    const int64_t rest = args.n_heads - begin;
    const ChunkRows<Isa> rows(args, begin, rest < kAttentionRows ? rest : kAttentionRows, chunk,
                              scratch.scores, sums + begin * stride, sums + begin * stride);
    AttendChunk<Isa>(args, rows, chunk, scratch.decoded);
  }
}

template <class Isa>
void MergeChunks(const AttentionArgs& args, float* sums) {
  const int64_t stride = QuerySums<Isa>::Stride(args.value_dim);
  const int64_t first = Sight<Isa>(args, 0).FirstChunk();
  sums += first * args.n_heads * stride;
  for (int64_t chunk = 1; (first + chunk) * kAttentionChunk < args.n_pos; ++chunk) {
    for (int64_t i = 0; i < args.n_heads; ++i) {
      Merge<Isa>(sums + i * stride, sums + (chunk * args.n_heads + i) * stride, args.value_dim);
    }
  }
  for (int64_t i = 0; i < args.n_heads; ++i) Finish<Isa>(args, i, sums + i * stride);
}

}  // namespace llmrun::generic
