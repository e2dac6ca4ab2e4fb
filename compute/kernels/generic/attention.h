// One query head over the positions so far. The keys are a matrix of n_pos rows, so the scores are
// the matrix product of the same types; then softmax; then each output column is one running sum
// over ascending positions.
#pragma once

#include <cstddef>

#include "compute/kernels/generic/float_tile.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/tile_cut.h"
#include "compute/kernels/generic/vector_math.h"

namespace llmrun::generic {

// scores = exp(scale * scores - maximum); returns their sum.
template <class Isa>
float ExpScores(float* scores, int64_t n, float scale) {
  using F = typename Isa::F;
  const float lowest = -__builtin_inff();
  F max = Isa::Set(lowest);
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    const bool full = lanes == kLanes;
    const F s = Isa::Mul(full ? Isa::Load(scores + i) : LoadPart<Isa>(scores + i, lanes, 0.0F),
                         Isa::Set(scale));
    full ? Isa::Store(scores + i, s) : StorePart<Isa>(scores + i, s, lanes);
    max = Isa::Max(max, full ? s : LoadPart<Isa>(scores + i, lanes, lowest));
  });
  const F highest = Isa::Set(Isa::ReduceMax(max));
  F sum = Isa::Zero();
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    const bool full = lanes == kLanes;
    const F s = full ? Isa::Load(scores + i) : LoadPart<Isa>(scores + i, lanes, lowest);
    const F e = Exp<Isa>(Isa::Sub(s, highest));
    full ? Isa::Store(scores + i, e) : StorePart<Isa>(scores + i, e, lanes);
    sum = Isa::Add(sum, e);
  });
  return Isa::ReduceAdd(sum);
}

// out[0..kVectors * 16) = factor * sum over positions of weights[p] * v[p].
template <class Isa, class Element, int kVectors>
void WeightedSum(const AttentionArgs& args, const std::byte* v, float factor, float* out) {
  typename Isa::F acc[kVectors];
  LLMRUN_UNROLL for (int j = 0; j < kVectors; ++j) acc[j] = Isa::Zero();
  for (int64_t p = 0; p < args.n_pos; ++p) {
    const typename Isa::F weight = Isa::Set(args.scores[p]);
    const std::byte* at = v + static_cast<uint64_t>(p) * args.v_stride_bytes;
    LLMRUN_UNROLL for (int j = 0; j < kVectors; ++j) {
      acc[j] = Isa::Fma(weight, Element::Load(at + j * kLanes * Element::kBytes), acc[j]);
    }
  }
  LLMRUN_UNROLL for (int j = 0; j < kVectors; ++j) {
    Isa::Store(out + j * kLanes, Isa::Mul(acc[j], Isa::Set(factor)));
  }
}

template <class Isa, class Element>
void WeightedSumPart(const AttentionArgs& args, const std::byte* v, float factor, int lanes,
                     float* out) {
  typename Isa::F acc = Isa::Zero();
  for (int64_t p = 0; p < args.n_pos; ++p) {
    const std::byte* at = v + static_cast<uint64_t>(p) * args.v_stride_bytes;
    acc = Isa::Fma(Isa::Set(args.scores[p]), LoadPart<Element>(at, lanes), acc);
  }
  StorePart<Isa>(out, Isa::Mul(acc, Isa::Set(factor)), lanes);
}

template <class Isa, class Element>
void AttentionOver(const AttentionArgs& args) {
  MatmulArgs scores;
  scores.dtype = args.kv_dtype;
  scores.weights = args.k;
  scores.row_bytes = args.k_stride_bytes;
  scores.n_cols = args.head_dim;
  scores.row_end = args.n_pos;
  scores.n_tokens = 1;
  scores.x = args.q;
  scores.out = args.scores;
  RunTiles(scores, CutTile<Isa, FloatTiles<Isa, Element>>);

  const float factor = 1.0F / ExpScores<Isa>(args.scores, args.n_pos, args.scale);
  constexpr int kVectors = 4;
  int64_t d = 0;
  for (; d + kVectors * kLanes <= args.head_dim; d += kVectors * kLanes) {
    WeightedSum<Isa, Element, kVectors>(args, args.v + d * Element::kBytes, factor, args.out + d);
  }
  for (; d + kLanes <= args.head_dim; d += kLanes) {
    WeightedSum<Isa, Element, 1>(args, args.v + d * Element::kBytes, factor, args.out + d);
  }
  if (d < args.head_dim) {
    WeightedSumPart<Isa, Element>(args, args.v + d * Element::kBytes, factor,
                                  static_cast<int>(args.head_dim - d), args.out + d);
  }
}

template <class Isa>
void Attention(const AttentionArgs& args) {
  if (args.kv_dtype == DType::kF32) {
    AttentionOver<Isa, F32<Isa>>(args);
  } else {
    AttentionOver<Isa, F16<Isa>>(args);
  }
}

}  // namespace llmrun::generic
