#include "cli/synth_blocks.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "compute/half.h"

namespace llmrun {
namespace {

constexpr size_t kTableSize = 4096;      // of normal values; an index takes 12 random bits
constexpr uint64_t kTableSeed = 0x5eed;  // the table is the same for every model

// Irwin-Hall: the sum of twelve uniform numbers is close to normal, with variance 1.
std::array<float, kTableSize> NormalTable() {
  std::array<float, kTableSize> table;
  SynthRandom random(kTableSeed);
  for (float& value : table) {
    value = -6.0F;
    for (int i = 0; i < 12; ++i) value += static_cast<float>(random.Next() >> 40) * 0x1p-24F;
  }
  return table;
}

uint16_t ToBfloat(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);  // nearest even
}

template <typename T>
void FillFromTable(SynthRandom& random, const std::vector<std::byte>& table,
                   std::span<std::byte> out) {
  const std::byte* const values = table.data();
  uint64_t word = 0;
  for (size_t i = 0; i * sizeof(T) < out.size(); ++i) {
    word = i % 4 == 0 ? random.Next() : word >> 16;
    std::memcpy(out.data() + i * sizeof(T), values + word % kTableSize * sizeof(T), sizeof(T));
  }
}

}  // namespace

uint64_t MixSeed(uint64_t seed, uint64_t part) {
  return SynthRandom(SynthRandom(seed).Next() ^ part).Next();
}

BlockFiller::BlockFiller(DType dtype, uint64_t row_elems, float mean, float deviation)
    : dtype_(dtype), recipe_(FindSynthRecipe(dtype)) {
  const BlockTraits& traits = TraitsOf(dtype);
  unit_bytes_ = traits.row_head_bytes != 0 ? RowBytes(dtype, row_elems) : traits.block_bytes;
  if (recipe_ != nullptr) {
    scales_ = ScalesFor(*recipe_, deviation);
    return;
  }
  CHECK(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16);
  normals_.resize(kTableSize * unit_bytes_);
  std::byte* out = normals_.data();
  for (const float normal : NormalTable()) {
    const float value = mean + deviation * normal;
    const uint16_t half = dtype == DType::kF16 ? FloatToHalf(value) : ToBfloat(value);
    if (dtype == DType::kF32) {
      std::memcpy(out, &value, unit_bytes_);
    } else {
      std::memcpy(out, &half, unit_bytes_);
    }
    out += unit_bytes_;
  }
}

void BlockFiller::Fill(uint64_t seed, std::span<std::byte> out) const {
  CHECK(out.size() % unit_bytes_ == 0);
  SynthRandom random(seed);
  if (dtype_ == DType::kF32) return FillFromTable<uint32_t>(random, normals_, out);
  if (recipe_ == nullptr) return FillFromTable<uint16_t>(random, normals_, out);
  for (; !out.empty(); out = out.subspan(unit_bytes_)) {
    FillBlock(*recipe_, scales_, random, out.first(unit_bytes_));
  }
}

}  // namespace llmrun
