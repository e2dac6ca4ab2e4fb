#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "tests/compute/attention_testing.h"

namespace llmrun {
namespace {

using testing::Bits;
using testing::Guard;
using testing::Guarded;
using testing::KvHead;
using testing::Queries;
using testing::RandomFloats;
using testing::RandomQueries;

struct AttentionCase {
  DType k_type;
  DType v_type;
  int64_t head_dim;
  int64_t n_pos;
  int64_t n_tokens = 1;
  int64_t n_heads = 1;
  int64_t window = 0;
  float soft_cap = 0;
  bool sinks = false;
  int64_t value_dim = head_dim;
};

void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << NameOf(c.k_type) << ' ' << NameOf(c.v_type) << ' ' << c.head_dim << ' ' << c.n_pos << ' '
       << c.n_tokens << ' ' << c.n_heads << " window " << c.window << " cap " << c.soft_cap
       << " sinks " << c.sinks << " values " << c.value_dim;
}

class AttentionTest : public ::testing::TestWithParam<AttentionCase> {
 protected:
  AttentionTest()
      : kv_{GetParam().head_dim, GetParam().n_pos, GetParam().k_type, GetParam().v_type,
            GetParam().value_dim} {
    std::mt19937 random(27);
    kv_.Fill(random);
    queries_ = RandomQueries(GetParam().n_tokens, GetParam().n_heads, kv_.head_dim, random);
    queries_.window = GetParam().window;
    queries_.soft_cap = GetParam().soft_cap;
    if (GetParam().sinks) queries_.sinks = RandomFloats(GetParam().n_heads, random, 3.0F);
  }
  size_t ScratchFloats() const {
    return static_cast<size_t>(AttentionScratchFloats(kv_.head_dim, kv_.value_dim));
  }

  KvHead kv_;
  Queries queries_{};
};

TEST_P(AttentionTest, IsCloseToFloat64AndEqualOnEveryLevel) {
  const std::vector<double> want = queries_.Truth(kv_);
  std::vector<float> first;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    Guarded<std::byte> keys(kv_.key_bytes, Guard::kAfter);
    Guarded<std::byte> values(kv_.value_bytes, Guard::kAfter);
    Guarded<float> q(queries_.q, Guard::kAfter);
    Guarded<float> scratch(ScratchFloats());
    Guarded<float> out(queries_.OutSize(kv_));
    AttentionArgs args = queries_.ArgsFor(kv_, scratch.data(), out.data());
    args.q = q.data();
    args.keys.data = keys.data();
    args.values.data = values.data();
    kernels->attention(args);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(out.data()[i], want[i], 3e-6) << i;
    if (first.empty()) first.assign(out.span().begin(), out.span().end());
    EXPECT_EQ(Bits(out.span()), Bits(first)) << NameOf(kernels->isa);
  }
}

TEST_P(AttentionTest, IsThatOfTheFloatsInTheCache) {
  const KvHead floats = kv_.AsFloats();
  for (const Kernels* kernels : testing::SupportedKernels()) {
    EXPECT_EQ(Bits(queries_.Attend(kv_, *kernels)), Bits(queries_.Attend(floats, *kernels)))
        << NameOf(kernels->isa);
  }
}

TEST_P(AttentionTest, RowsDoNotDependOnEachOther) {
  for (const Kernels* kernels : testing::SupportedKernels()) {
    const std::vector<float> together = queries_.Attend(kv_, *kernels);
    std::vector<float> scratch(ScratchFloats());
    std::vector<float> out(together.size());
    const AttentionArgs all = queries_.ArgsFor(kv_, scratch.data(), out.data());
    // One token after the other, three at a time, one head after the other.
    for (const int64_t tokens : {int64_t{1}, int64_t{3}, all.n_tokens}) {
      for (const int64_t heads : {int64_t{1}, all.n_heads}) {
        std::ranges::fill(out, NAN);
        for (int64_t t = 0; t < all.n_tokens; t += tokens) {
          for (int64_t h = 0; h < all.n_heads; h += heads) {
            AttentionArgs args = all;
            args.q += t * all.q_stride + h * all.head_dim;
            args.out += t * all.out_stride + h * all.value_dim;
            if (args.sinks != nullptr) args.sinks += h;
            args.n_tokens = std::min(tokens, all.n_tokens - t);
            args.n_heads = heads;
            args.n_pos += t;
            kernels->attention(args);
          }
        }
        EXPECT_EQ(Bits(out), Bits(together)) << NameOf(kernels->isa) << tokens << ' ' << heads;
      }
    }
  }
}

TEST_P(AttentionTest, ChunksMayComeInAnyOrder) {
  std::mt19937 random(31);
  const int64_t n_chunks = (kv_.n_pos + kAttentionChunk - 1) / kAttentionChunk;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    Queries last{.n_tokens = 1,
                 .n_heads = queries_.n_heads,
                 .window = queries_.window,
                 .soft_cap = queries_.soft_cap,
                 .sinks = queries_.sinks};
    const auto size = static_cast<long>(queries_.n_heads * kv_.head_dim);
    last.q.assign(queries_.q.end() - size, queries_.q.end());
    const std::vector<float> whole = last.Attend(kv_, *kernels);
    Guarded<float> scratch(ScratchFloats());
    Guarded<float> sums(
        static_cast<size_t>(n_chunks * last.n_heads * AttentionSumsFloats(kv_.value_dim)));
    std::vector<float> out(whole.size());
    const AttentionArgs args = last.ArgsFor(kv_, scratch.data(), out.data());
    std::vector<int64_t> order(static_cast<size_t>(n_chunks));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::shuffle(order, random);
    for (const int64_t chunk : order) kernels->attend_chunk(args, chunk, sums.data());
    kernels->merge_chunks(args, sums.data());
    EXPECT_EQ(Bits(out), Bits(whole)) << NameOf(kernels->isa);
  }
}

constexpr DType kF32 = DType::kF32;
constexpr DType kF16 = DType::kF16;
constexpr DType kBF16 = DType::kBF16;
constexpr DType kQ8_0 = DType::kQ8_0;
constexpr DType kQ4_0 = DType::kQ4_0;
INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionTest,
    ::testing::Values(
        AttentionCase{kF32, kF32, 64, 1}, AttentionCase{kF16, kF16, 64, 1},
        AttentionCase{kF32, kF32, 128, 100}, AttentionCase{kF16, kF16, 128, 129},
        AttentionCase{kF32, kF32, 80, 17}, AttentionCase{kF16, kF16, 80, 16},
        AttentionCase{kF32, kF32, 36, 33}, AttentionCase{kF16, kF16, 36, 15},
        AttentionCase{kF16, kF16, 4, 5}, AttentionCase{kBF16, kF32, 20, 300, 5, 2},
        AttentionCase{kF32, kF32, 256, 700},
        // borders of strips and chunks, one token
        AttentionCase{kF16, kF16, 64, 63}, AttentionCase{kF16, kF16, 64, 65, 1, 8},
        AttentionCase{kF16, kF16, 64, 255, 1, 4}, AttentionCase{kF16, kF16, 64, 256, 1, 3},
        AttentionCase{kF16, kF16, 64, 257}, AttentionCase{kF16, kF16, 64, 513, 1, 8},
        AttentionCase{kF16, kF16, 64, 1100, 1, 33},
        // tokens on both sides of them
        AttentionCase{kF16, kF16, 64, 40, 40, 1}, AttentionCase{kF16, kF16, 64, 265, 20, 1},
        AttentionCase{kF16, kF16, 64, 520, 9, 8}, AttentionCase{kF32, kF32, 64, 530, 40, 2},
        AttentionCase{kF16, kF16, 128, 300, 7, 5},
        // the other types
        AttentionCase{kBF16, kBF16, 64, 300, 6, 4}, AttentionCase{kQ8_0, kQ8_0, 64, 300, 6, 4},
        AttentionCase{kQ4_0, kQ4_0, 64, 300, 6, 4}, AttentionCase{kQ8_0, kQ8_0, 128, 270, 1, 1},
        AttentionCase{kQ4_0, kQ4_0, 96, 270, 1, 7}, AttentionCase{kQ8_0, kF16, 64, 290, 12, 3},
        AttentionCase{kF16, kQ4_0, 32, 290, 12, 3}, AttentionCase{kQ4_0, kQ8_0, 160, 100, 3, 9},
        // windows: of one, inside a strip, over borders of strips and chunks, wider than all
        AttentionCase{kF16, kF16, 64, 300, 40, 1, 1}, AttentionCase{kF16, kF16, 64, 300, 9, 4, 5},
        AttentionCase{kF32, kF32, 64, 400, 70, 2, 64},
        AttentionCase{kF16, kF16, 64, 600, 33, 3, 100},
        AttentionCase{kQ8_0, kQ8_0, 64, 1100, 50, 2, 300},
        AttentionCase{kF16, kF16, 64, 1030, 1, 8, 256},
        AttentionCase{kF16, kF16, 64, 300, 8, 2, 300},
        // capped, below where scores lie
        AttentionCase{kF32, kF32, 64, 300, 40, 2, 0, 0.5F},
        AttentionCase{kF16, kF16, 36, 600, 3, 3, 270, 2.0F},
        // sinks
        AttentionCase{kF32, kF32, 64, 1, 1, 2, 0, 0, true},
        AttentionCase{kF16, kF16, 64, 600, 20, 3, 70, 0, true},
        AttentionCase{kQ8_0, kQ8_0, 64, 300, 1, 40, 0, 0, true},
        // values shorter and longer than keys
        AttentionCase{kF32, kF32, 48, 300, 20, 2, 0, 0, false, 32},
        AttentionCase{kF16, kF16, 192, 300, 1, 4, 0, 0, false, 128},
        AttentionCase{kQ8_0, kF16, 32, 530, 40, 2, 0, 0, false, 84},
        AttentionCase{kQ8_0, kQ4_0, 96, 300, 9, 5, 0, 0, true, 64}));

TEST(Attention, NotANumberStaysWithThoseWhoSeeIt) {
  std::mt19937 random(33);
  constexpr int64_t kTokens = 30;
  constexpr size_t kBad = 265;  // of 280: seen by the last 15 tokens
  for (const DType type : {kF32, kF16, kQ8_0}) {
    for (const bool in_values : {false, true}) {
      KvHead kv{32, 280, type, type};
      kv.Fill(random);
      const Queries queries = RandomQueries(kTokens, 2, 32, random);
      const std::vector<float> clean = queries.Attend(kv, KernelsFor(IsaLevel::kPortable));
      std::vector<float> bad(32, 1.0F);
      bad[3] = NAN;
      kv.Set(kBad, in_values ? kv.keys[kBad] : bad, in_values ? bad : kv.values[kBad]);
      for (const Kernels* kernels : testing::SupportedKernels()) {
        const std::vector<float> out = queries.Attend(kv, *kernels);
        constexpr size_t kClean = 15 * 2 * 32;
        EXPECT_EQ(Bits(std::span(out).first(kClean)), Bits(std::span(clean).first(kClean)))
            << NameOf(kernels->isa);
        for (size_t row = 15 * 2; row < kTokens * 2; ++row) {
          EXPECT_TRUE(std::isnan(out[row * 32 + 3])) << NameOf(kernels->isa) << row;
        }
      }
    }
  }
}

TEST(Attention, WhatLiesBeforeTheWindowIsNotRead) {
  std::mt19937 random(35);
  KvHead kv{64, 330, DType::kF16, DType::kF16};
  kv.Fill(random);
  Queries queries = RandomQueries(10, 4, kv.head_dim, random);
  queries.window = 50;
  for (const Kernels* kernels : testing::SupportedKernels()) {
    const std::vector<float> want = queries.Attend(kv, *kernels);
    KvHead spoilt = kv;
    const std::vector<float> nothing(64, NAN);
    // The first token sees positions 271 to 320.
    for (int64_t p = 0; p < 271; ++p) spoilt.Set(p, nothing, nothing);
    EXPECT_EQ(Bits(queries.Attend(spoilt, *kernels)), Bits(want)) << NameOf(kernels->isa);
    spoilt.Set(271, nothing, nothing);
    EXPECT_TRUE(std::isnan(queries.Attend(spoilt, *kernels)[0])) << NameOf(kernels->isa);
  }
}

TEST(Attention, AScoreOfMinusInfinityCountsAsNothing) {
  std::mt19937 random(34);
  for (const size_t at : {5U, 256U}) {  // the second is alone in its chunk
    KvHead kv{32, 257, kF32, kF32};
    kv.Fill(random);
    Queries queries = RandomQueries(1, 1, 32, random);
    for (float& x : queries.q) x = std::abs(x);
    const std::vector<double> want = queries.Truth(kv, at);
    kv.Set(static_cast<int64_t>(at), std::vector<float>(32, -INFINITY), kv.values[at]);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      const std::vector<float> out = queries.Attend(kv, *kernels);
      for (size_t d = 0; d < 32; ++d) EXPECT_NEAR(out[d], want[d], 3e-6);
    }
  }
}

TEST(Attention, SinksMayBeFarFromScores) {
  std::mt19937 random(36);
  KvHead kv{32, 300, kF32, kF32};
  kv.Fill(random);
  Queries queries = RandomQueries(1, 3, 32, random);
  queries.sinks = {-INFINITY, -1e30F, 1e30F};
  Queries without = queries;
  without.sinks.clear();
  for (const Kernels* kernels : testing::SupportedKernels()) {
    const std::vector<float> out = queries.Attend(kv, *kernels);
    const std::vector<float> want = without.Attend(kv, *kernels);
    EXPECT_EQ(Bits(std::span(out).first(64)), Bits(std::span(want).first(64)));
    for (size_t d = 64; d < 96; ++d) EXPECT_EQ(out[d], 0) << NameOf(kernels->isa);
  }
}

// Greater and smaller scores than a float holds the exponentials of, in different chunks.
TEST(Attention, ScoresMayBeFarApart) {
  std::mt19937 random(35);
  for (const int64_t winner : {3, 300, 700}) {
    KvHead kv{32, 800, kF32, kF32};
    kv.Fill(random);
    Queries queries{1, 1, std::vector<float>(32, 10.0F)};
    const std::vector<float> value = RandomFloats(32, random);
    kv.Set(winner, std::vector<float>(32, 100.0F), value);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      EXPECT_EQ(Bits(queries.Attend(kv, *kernels)), Bits(value)) << NameOf(kernels->isa);
    }
  }
}

}  // namespace
}  // namespace llmrun
