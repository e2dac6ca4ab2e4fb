#include "cli/synth_blocks.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "compute/codec.h"
#include "compute/kernels.h"

namespace llmrun {
namespace {

constexpr size_t kTableSize = 4096;      // of normal values; an index takes 12 random bits
constexpr uint64_t kTableSeed = 0x5eed;  // the table is the same for every model

// Sebastiano Vigna's SplitMix64 (public domain, 2015): a counter through a mixing function, which
// makes it a generator and a way to derive seeds.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  void FillBytes(std::byte* out, size_t bytes) {
    for (; bytes >= 8; bytes -= 8, out += 8) {
      const uint64_t word = Next();
      std::memcpy(out, &word, 8);
    }
    const uint64_t word = bytes > 0 ? Next() : 0;
    std::memcpy(out, &word, bytes);
  }

 private:
  uint64_t state_;
};

// Irwin-Hall: the sum of twelve uniform numbers is close to normal, with variance 1.
std::array<float, kTableSize> NormalTable() {
  std::array<float, kTableSize> table;
  Random random(kTableSeed);
  for (float& value : table) {
    value = -6.0F;
    for (int i = 0; i < 12; ++i) value += static_cast<float>(random.Next() >> 40) * 0x1p-24F;
  }
  return table;
}

uint16_t ToHalf(float value) {
  uint16_t half = 0;
  KernelsFor(IsaLevel::kPortable)
      .store_kv(&value, 1, DType::kF16, reinterpret_cast<std::byte*>(&half));
  return half;
}

uint16_t ToBfloat(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);  // nearest even
}

template <typename T>
void FillFromTable(Random& random, const std::vector<std::byte>& table, std::span<std::byte> out) {
  const std::byte* const values = table.data();
  uint64_t word = 0;
  for (size_t i = 0; i * sizeof(T) < out.size(); ++i) {
    word = i % 4 == 0 ? random.Next() : word >> 16;
    std::memcpy(out.data() + i * sizeof(T), values + word % kTableSize * sizeof(T), sizeof(T));
  }
}

// Deviations of uniform quants, and the range of the integer scales of the K types: 24..39 keeps
// sub-blocks different from each other, around a mean of 31.5 (square mean 31.83).
constexpr float kDeviationInt8 = 73.6F;    // of -127..127
constexpr float kDeviationNibble = 4.61F;  // of 0..15
constexpr float kDeviation6Bit = 18.47F;   // of 0..63
constexpr float kSubScale = 31.83F;
uint8_t SubScale(uint64_t bits) { return static_cast<uint8_t>(24 + bits % 16); }

// Block layouts: those of ggml's block structures, as in compute/codec.h.
constexpr uint16_t kHalfSign = 0x8000;

void FillQ8_0(Random& random, uint16_t scale, std::byte* block) {
  std::memcpy(block, &scale, 2);
  random.FillBytes(block + 2, 32);
  // Quantizers never write -128: kernels may rely on that.
  for (int i = 2; i < 34; ++i) block[i] = block[i] == std::byte{0x80} ? std::byte{0x81} : block[i];
}

void FillQ4_0(Random& random, uint16_t scale, std::byte* block) {
  random.FillBytes(block + 2, 16);
  // Quants lie in -8..7: a random sign of the scale takes the mean to 0.
  scale ^= static_cast<uint16_t>(random.Next() & kHalfSign);
  std::memcpy(block, &scale, 2);
}

void FillQ4_K(Random& random, uint16_t scale, uint16_t scale_min, std::byte* block) {
  std::memcpy(block, &scale, 2);
  std::memcpy(block + 2, &scale_min, 2);
  // Eight 6-bit scales and as many 6-bit mins in twelve bytes. Each min equals its scale, and
  // scale_min = 7.5 * scale, which centres the quants 0..15.
  const uint64_t bits = random.Next();
  for (int j = 0; j < 4; ++j) {
    const uint8_t low = SubScale(bits >> (4 * j));
    const uint8_t high = SubScale(bits >> (16 + 4 * j));
    const auto packed = static_cast<std::byte>(low | (high >> 4) << 6);
    block[4 + j] = packed;
    block[8 + j] = packed;
    block[12 + j] = static_cast<std::byte>((high & 15) | (high & 15) << 4);
  }
  random.FillBytes(block + 16, 128);
}

void FillQ6_K(Random& random, uint16_t scale, std::byte* block) {
  random.FillBytes(block, 192);
  uint64_t bits = random.Next();
  const uint64_t signs = random.Next();
  for (int j = 0; j < 16; ++j, bits >>= 4) {
    // Quants lie in -32..31: random signs of the scales take the mean to 0.
    const int sub = SubScale(bits);
    block[192 + j] = static_cast<std::byte>((signs >> j & 1) != 0 ? -sub : sub);
  }
  std::memcpy(block + 208, &scale, 2);
}

}  // namespace

uint64_t MixSeed(uint64_t seed, uint64_t part) { return Random(Random(seed).Next() ^ part).Next(); }

BlockFiller::BlockFiller(DType dtype, float mean, float deviation) : dtype_(dtype) {
  CHECK(HasCodec(dtype));
  switch (dtype) {
    case DType::kQ8_0:
      scale_ = ToHalf(deviation / kDeviationInt8);
      return;
    case DType::kQ4_0:
      scale_ = ToHalf(deviation / kDeviationNibble);
      return;
    case DType::kQ4_K:
      scale_ = ToHalf(deviation / (kDeviationNibble * kSubScale));
      scale_min_ = ToHalf(7.5F * deviation / (kDeviationNibble * kSubScale));
      return;
    case DType::kQ6_K:
      scale_ = ToHalf(deviation / (kDeviation6Bit * kSubScale));
      return;
    default:
      break;
  }
  const size_t width = TraitsOf(dtype).block_bytes;
  normals_.resize(kTableSize * width);
  std::byte* out = normals_.data();
  for (const float normal : NormalTable()) {
    const float value = mean + deviation * normal;
    const uint16_t half = dtype == DType::kF16 ? ToHalf(value) : ToBfloat(value);
    if (dtype == DType::kF32) {
      std::memcpy(out, &value, width);
    } else {
      std::memcpy(out, &half, width);
    }
    out += width;
  }
}

void BlockFiller::Fill(uint64_t seed, std::span<std::byte> out) const {
  const size_t step = TraitsOf(dtype_).block_bytes;
  CHECK(out.size() % step == 0);
  Random random(seed);
  if (dtype_ == DType::kF32) return FillFromTable<uint32_t>(random, normals_, out);
  if (!normals_.empty()) return FillFromTable<uint16_t>(random, normals_, out);
  for (std::byte* block = out.data(); block != out.data() + out.size(); block += step) {
    switch (dtype_) {
      case DType::kQ8_0:
        FillQ8_0(random, scale_, block);
        break;
      case DType::kQ4_0:
        FillQ4_0(random, scale_, block);
        break;
      case DType::kQ4_K:
        FillQ4_K(random, scale_, scale_min_, block);
        break;
      default:
        FillQ6_K(random, scale_, block);
        break;
    }
  }
}

}  // namespace llmrun
