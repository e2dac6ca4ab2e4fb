#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "compute/kernels.h"
#include "tests/compute/attention_testing.h"

namespace llmrun {
namespace {

using testing::Bits;
using testing::DecodedRow;
using testing::EncodedRow;
using testing::Guard;
using testing::Guarded;
using testing::KvHead;
using testing::Queries;
using testing::RandomFloats;
using testing::RandomQueries;

// ---- what is stored ----

TEST(StoreValue, RoundsToTheNearestOfItsType) {
  std::mt19937 random(26);
  for (const int64_t n : {1, 15, 16, 36, 64, 100, 256}) {
    std::vector<float> x = RandomFloats(n, random, 1000.0F);
    x[0] = 1e-6F;  // a denormal half
    if (n > 4) x[2] = 1e6F;
    if (n > 4) x[4] = NAN;
    const std::vector<std::byte> floats = EncodedRow(x, DType::kF32);
    EXPECT_EQ(std::memcmp(floats.data(), x.data(), x.size() * 4), 0);
    const std::vector<std::byte> halves = EncodedRow(x, DType::kF16);
    const std::vector<float> brain = DecodedRow(x, DType::kBF16);
    for (size_t i = 0; i < x.size(); ++i) {
      uint16_t half = 0;
      std::memcpy(&half, halves.data() + i * 2, 2);
      EXPECT_EQ(half, FloatToHalf(x[i])) << x[i];
      if (std::isnan(x[i])) {
        EXPECT_TRUE(std::isnan(brain[i]));
      } else {
        const double ulp = std::ldexp(1.0, std::ilogb(x[i]) - 7);
        EXPECT_LE(std::abs(double{brain[i]} - x[i]), ulp / 2) << x[i];
      }
    }
  }
  const std::vector<float> ties = {0x1.01p0F, 0x1.03p0F, -0x1.01p0F, 0x1.FFFFFEp127F};
  const std::vector<float> want = {1.0F, 0x1.04p0F, -1.0F, INFINITY};
  EXPECT_EQ(DecodedRow(ties, DType::kBF16), want);
}

TEST(StoreValue, QuantizesWithinHalfAStep) {
  std::mt19937 random(28);
  const std::vector<float> x = RandomFloats(256, random, 3.0F);
  const std::vector<float> eight = DecodedRow(x, DType::kQ8_0);
  const std::vector<float> four = DecodedRow(x, DType::kQ4_0);
  for (size_t i = 0; i < x.size(); ++i) {
    const auto block = std::span(x).subspan(i / 32 * 32, 32);
    const float most = *std::ranges::max_element(block, {}, [](float v) { return std::abs(v); });
    const float step8 = std::abs(most) / 127;
    const float step4 = std::abs(most) / 8;
    EXPECT_LE(std::abs(eight[i] - x[i]), step8 * 0.501F + std::abs(x[i]) * 0x1p-10F) << i;
    // The grid of Q4_0 has 8 steps towards the greatest value, and 7 away from it.
    const bool clipped = x[i] / most < -7.5F / 8;
    EXPECT_LE(std::abs(four[i] - x[i]),
              step4 * (clipped ? 1.0F : 0.501F) + std::abs(x[i]) * 0x1p-10F)
        << i;
    if (x[i] == most) {
      EXPECT_NEAR(four[i], most, std::abs(most) * 0x1p-10F);
    }
  }
}

TEST(StoreValue, BlocksOfZerosAndOfWhatIsNoNumber) {
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    std::vector<float> x(64, 1.0F);
    std::fill_n(x.begin(), 32, 0.0F);
    EXPECT_EQ(DecodedRow(x, type)[7], 0.0F);
    std::fill_n(x.begin(), 32, std::numeric_limits<float>::denorm_min());
    EXPECT_EQ(DecodedRow(x, type)[7], 0.0F);
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      x[5] = bad;
      const std::vector<float> decoded = DecodedRow(x, type);
      for (size_t i = 0; i < 32; ++i) EXPECT_TRUE(std::isnan(decoded[i])) << NameOf(type);
      EXPECT_NEAR(decoded[40], 1.0F, 0x1p-10F) << NameOf(type);  // the neighbour block
    }
  }
}

TEST(StoreValue, IsTheSameOnEveryLevel) {
  std::mt19937 random(29);
  for (const DType type : testing::kKvTypes) {
    const std::vector<float> x = RandomFloats(128, random, 100.0F);
    for (const Kernels* kernels : testing::SupportedKernels()) {
      Guarded<std::byte> row(KvRowBytes(type, 128));
      Guarded<float> guarded(x, Guard::kAfter);
      kernels->store_value(guarded.data(), 128, type, row.data(), 0);
      const std::vector<std::byte> want = EncodedRow(x, type);
      EXPECT_TRUE(std::ranges::equal(row.span(), want)) << NameOf(type) << NameOf(kernels->isa);
    }
  }
}

// A key as a value would be stored, gathered from its group.
std::vector<std::byte> GatheredKey(const std::byte* keys, DType type, int64_t head_dim,
                                   size_t position) {
  const BlockTraits& traits = TraitsOf(type);
  const size_t row_bytes = KvRowBytes(type, head_dim);
  const std::byte* group = keys + position / 16 * 16 * row_bytes;
  const size_t lane = position % 16;
  std::vector<std::byte> row(row_bytes);
  for (size_t at = 0; at < row_bytes; at += traits.block_bytes) {
    const std::byte* block = group + at * 16;
    const size_t head = traits.block_elems == 1 ? traits.block_bytes : 2;  // one element, or scale
    std::memcpy(row.data() + at, block + lane * head, head);
    for (size_t i = head; i < traits.block_bytes; ++i) row[at + i] = block[i * 16 + lane];
  }
  return row;
}

TEST(StoreKey, PutsPositionsSideBySide) {
  std::mt19937 random(30);
  for (const DType type : testing::kKvTypes) {
    for (const int64_t head_dim : {32, 64, 128}) {
      for (const Kernels* kernels : testing::SupportedKernels()) {
        constexpr size_t kPositions = 48;
        const size_t row_bytes = KvRowBytes(type, head_dim);
        Guarded<std::byte> keys(kPositions * row_bytes);
        std::vector<size_t> order(kPositions);
        std::iota(order.begin(), order.end(), size_t{0});
        std::ranges::shuffle(order, random);
        std::vector<std::vector<std::byte>> want(kPositions);
        for (const size_t p : order) {
          const std::vector<float> x = RandomFloats(head_dim, random);
          kernels->store_key(x.data(), head_dim, type, keys.data(), static_cast<int64_t>(p));
          want[p] = EncodedRow(x, type);
        }
        for (size_t p = 0; p < kPositions; ++p) {
          EXPECT_EQ(GatheredKey(keys.data(), type, head_dim, p), want[p])
              << NameOf(type) << ' ' << NameOf(kernels->isa) << ' ' << p;
        }
      }
    }
  }
}

// ---- attention ----

struct AttentionCase {
  DType k_type;
  DType v_type;
  int64_t head_dim;
  int64_t n_pos;
  int64_t n_tokens = 1;
  int64_t n_heads = 1;
  int64_t window = 0;
  float soft_cap = 0;
};

void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << NameOf(c.k_type) << ' ' << NameOf(c.v_type) << ' ' << c.head_dim << ' ' << c.n_pos << ' '
       << c.n_tokens << ' ' << c.n_heads << " window " << c.window << " cap " << c.soft_cap;
}

class AttentionTest : public ::testing::TestWithParam<AttentionCase> {
 protected:
  AttentionTest()
      : kv_{GetParam().head_dim, GetParam().n_pos, GetParam().k_type, GetParam().v_type} {
    std::mt19937 random(27);
    kv_.Fill(random);
    queries_ = RandomQueries(GetParam().n_tokens, GetParam().n_heads, kv_.head_dim, random);
    queries_.window = GetParam().window;
    queries_.soft_cap = GetParam().soft_cap;
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
    Guarded<float> scratch(static_cast<size_t>(AttentionScratchFloats(kv_.head_dim)));
    Guarded<float> out(queries_.q.size());
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
    std::vector<float> scratch(static_cast<size_t>(AttentionScratchFloats(kv_.head_dim)));
    std::vector<float> out(together.size());
    const AttentionArgs all = queries_.ArgsFor(kv_, scratch.data(), out.data());
    // One token after the other, three at a time, one head after the other.
    for (const int64_t tokens : {int64_t{1}, int64_t{3}, all.n_tokens}) {
      for (const int64_t heads : {int64_t{1}, all.n_heads}) {
        std::ranges::fill(out, NAN);
        for (int64_t t = 0; t < all.n_tokens; t += tokens) {
          for (int64_t h = 0; h < all.n_heads; h += heads) {
            AttentionArgs args = all;
            const int64_t at = t * all.token_stride + h * all.head_dim;
            args.q += at;
            args.out += at;
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
                 .soft_cap = queries_.soft_cap};
    const auto size = static_cast<long>(queries_.n_heads * kv_.head_dim);
    last.q.assign(queries_.q.end() - size, queries_.q.end());
    const std::vector<float> whole = last.Attend(kv_, *kernels);
    Guarded<float> scratch(static_cast<size_t>(AttentionScratchFloats(kv_.head_dim)));
    Guarded<float> sums(
        static_cast<size_t>(n_chunks * last.n_heads * AttentionSumsFloats(kv_.head_dim)));
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
        AttentionCase{kF16, kF16, 36, 600, 3, 3, 270, 2.0F}));

// ---- what is no number ----

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
