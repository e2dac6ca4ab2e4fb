// A head of keys and values for the tests of attention, and the truth in float64.
#pragma once

#include <cmath>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "base/check.h"
#include "compute/codec.h"
#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun::testing {

inline constexpr DType kKvTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0,
                                     DType::kQ4_0};

// One row as a cache of values has it, from the portable kernels.
inline std::vector<std::byte> EncodedRow(std::span<const float> x, DType type) {
  const auto head_dim = static_cast<int64_t>(x.size());
  std::vector<std::byte> row(KvRowBytes(type, head_dim));
  KernelsFor(IsaLevel::kPortable).store_value(x.data(), head_dim, type, row.data(), 0);
  return row;
}
inline std::vector<float> DecodedRow(std::span<const float> x, DType type) {
  std::vector<float> decoded(x.size());
  CHECK(DequantizeRow(type, EncodedRow(x, type).data(), static_cast<int64_t>(x.size()),
                      decoded.data()));
  return decoded;
}

// Random keys and values of one head.
struct KvHead {
  int64_t head_dim;  // of keys
  int64_t n_pos;
  DType k_type;
  DType v_type;
  int64_t value_dim = head_dim;
  std::vector<std::vector<float>> keys = {};  // [n_pos][head_dim] as they are in the cache
  std::vector<std::vector<float>> values = {};
  std::vector<std::byte> key_bytes = {};
  std::vector<std::byte> value_bytes = {};

  void Fill(std::mt19937& random) {
    key_bytes.assign(static_cast<size_t>((n_pos + kKvGroup - 1) / kKvGroup * kKvGroup) *
                         KvRowBytes(k_type, head_dim),
                     std::byte{0xFF});
    value_bytes.resize(static_cast<size_t>(n_pos) * KvRowBytes(v_type, value_dim));
    keys.clear();
    values.clear();
    for (int64_t p = 0; p < n_pos; ++p) {
      Set(p, RandomFloats(head_dim, random), RandomFloats(value_dim, random));
    }
  }
  // Of the next position, or of one that is there.
  void Set(int64_t p, const std::vector<float>& key, const std::vector<float>& value) {
    const Kernels& kernels = KernelsFor(IsaLevel::kPortable);
    kernels.store_key(key.data(), head_dim, k_type, key_bytes.data(), p);
    kernels.store_value(value.data(), value_dim, v_type, value_bytes.data(), p);
    const auto at = static_cast<size_t>(p);
    if (at == keys.size()) keys.emplace_back();
    if (at == values.size()) values.emplace_back();
    keys[at] = DecodedRow(key, k_type);
    values[at] = DecodedRow(value, v_type);
  }
  // What it stands for, as floats.
  KvHead AsFloats() const {
    KvHead floats{head_dim, n_pos, DType::kF32, DType::kF32, value_dim};
    std::mt19937 random(1);
    floats.Fill(random);
    for (int64_t p = 0; p < n_pos; ++p) {
      floats.Set(p, keys[static_cast<size_t>(p)], values[static_cast<size_t>(p)]);
    }
    return floats;
  }
};

// Queries of several tokens and heads: the last token sees all positions of a KvHead.
struct Queries {
  int64_t n_tokens;
  int64_t n_heads;
  std::vector<float> q = {};  // [n_tokens][n_heads][head_dim]
  int64_t window = 0;         // 0: all
  float soft_cap = 0;
  std::vector<float> sinks = {};  // [n_heads], or empty

  size_t OutSize(const KvHead& kv) const {
    return static_cast<size_t>(n_tokens * n_heads * kv.value_dim);
  }
  AttentionArgs ArgsFor(const KvHead& kv, float* scratch, float* out) const {
    AttentionArgs args;
    args.q = q.data();
    args.q_stride = n_heads * kv.head_dim;
    args.n_tokens = n_tokens;
    args.n_heads = n_heads;
    args.head_dim = kv.head_dim;
    args.value_dim = kv.value_dim;
    args.n_pos = kv.n_pos - n_tokens + 1;
    args.window = window;
    args.soft_cap = soft_cap;
    args.keys = {kv.key_bytes.data(), kv.k_type};
    args.values = {kv.value_bytes.data(), kv.v_type};
    args.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(kv.head_dim)));
    args.scratch = scratch;
    args.out = out;
    args.out_stride = n_heads * kv.value_dim;
    args.sinks = sinks.empty() ? nullptr : sinks.data();
    return args;
  }
  std::vector<float> Attend(const KvHead& kv, const Kernels& kernels) const {
    std::vector<float> scratch(
        static_cast<size_t>(AttentionScratchFloats(kv.head_dim, kv.value_dim)));
    std::vector<float> out(OutSize(kv));
    kernels.attention(ArgsFor(kv, scratch.data(), out.data()));
    return out;
  }
  // In float64; without position `skipped`.
  std::vector<double> Truth(const KvHead& kv, std::optional<size_t> skipped = {}) const {
    const auto dim = static_cast<size_t>(kv.head_dim);
    const auto value_dim = static_cast<size_t>(kv.value_dim);
    const double scale = ArgsFor(kv, nullptr, nullptr).scale;
    std::vector<double> out(OutSize(kv));
    for (size_t row = 0; row < q.size() / dim; ++row) {
      const size_t seen =
          static_cast<size_t>(kv.n_pos - n_tokens + 1) + row / static_cast<size_t>(n_heads);
      const auto width = window == 0 ? seen : static_cast<size_t>(window);
      double sum = sinks.empty() ? 0 : std::exp(double{sinks[row % sinks.size()]});
      for (size_t p = seen < width ? 0 : seen - width; p < seen; ++p) {
        if (p == skipped) continue;
        double dot = 0;
        for (size_t d = 0; d < dim; ++d) dot += double{q[row * dim + d]} * kv.keys[p][d];
        const double score = dot * scale;
        const double weight =
            std::exp(soft_cap > 0 ? soft_cap * std::tanh(score / soft_cap) : score);
        sum += weight;
        for (size_t d = 0; d < value_dim; ++d) {
          out[row * value_dim + d] += weight * kv.values[p][d];
        }
      }
      for (size_t d = 0; d < value_dim; ++d) out[row * value_dim + d] /= sum;
    }
    return out;
  }
};

inline Queries RandomQueries(int64_t n_tokens, int64_t n_heads, int64_t head_dim,
                             std::mt19937& random) {
  return {n_tokens, n_heads, RandomFloats(n_tokens * n_heads * head_dim, random, 2.0F)};
}

}  // namespace llmrun::testing
