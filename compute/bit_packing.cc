#include "compute/bit_packing.h"

#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>

#include "compute/kernels/generic/unroll.h"
#include "compute/packing.h"

namespace llmrun {
namespace {

using Words = uint16_t __attribute__((vector_size(16)));

// Bits of a byte of the file, `left` places further to the left in a byte of packed rows.
struct BitRun {
  int to;
  int from;
  int left;
  uint8_t mask;  // in the packed byte
};

constexpr int kSharingBytes = 3;

// Every bit has one place.
template <size_t n>
constexpr bool IsPermutation(const BitRun (&bits)[n]) {
  for (int i = 0; i < kSharingBytes; ++i) {
    int packed = 0;
    int raw = 0;
    for (const auto& [to, from, left, mask] : bits) {
      const int in_raw = left < 0 ? mask << -left : mask >> left;
      if ((to == i && (packed & mask) != 0) || (from == i && (raw & in_raw) != 0)) return false;
      if (to == i) packed |= mask;
      if (from == i) raw |= in_raw;
    }
    if (packed != 255 || raw != 255) return false;
  }
  return true;
}

// Q3_K. File: third bits of all fields; low bits of the first four; of the last four.
constexpr BitRun kThreeBits[] = {
    {0, 1, 0, 0x03},  {0, 0, 2, 0x04},  {0, 1, 1, 0x18},  {0, 0, 4, 0x20}, {0, 2, 2, 0xC0},
    {1, 1, -4, 0x03}, {1, 0, 0, 0x04},  {1, 1, -3, 0x18}, {1, 0, 2, 0x20}, {1, 2, 0, 0xC0},
    {2, 2, 0, 0x03},  {2, 0, -2, 0x04}, {2, 2, 1, 0x18},  {2, 0, 0, 0xE0}};
// Q6_K. File: nibbles of fields 0 and 2; of 1 and 3; fifth and sixth bits of all.
constexpr BitRun kSixBits[] = {{0, 0, 0, 0x0F}, {0, 2, 4, 0x30},  {0, 1, 2, 0xC0}, {1, 1, 0, 0xCF},
                               {1, 2, 2, 0x30}, {2, 0, -4, 0x0F}, {2, 2, 0, 0xF0}};
static_assert(IsPermutation(kThreeBits));
static_assert(IsPermutation(kSixBits));

template <int kLeft>
Words Shifted(Words x) {
  if constexpr (kLeft >= 0) return x << kLeft;
  return x >> -kLeft;
}
template <BitRun kBits, bool kPack>
LLMRUN_INLINE void MoveBits(const Words* from, Words* to) {
  constexpr int kLeft = kPack ? kBits.left : -kBits.left;
  constexpr int kRawMask = kBits.left < 0 ? kBits.mask << -kBits.left : kBits.mask >> kBits.left;
  constexpr auto kMask = static_cast<uint16_t>(0x0101 * (kPack ? kBits.mask : kRawMask));
  to[kPack ? kBits.to : kBits.from] |= Shifted<kLeft>(from[kPack ? kBits.from : kBits.to]) & kMask;
}
template <const auto& kAll, bool kPack, size_t... i>
LLMRUN_INLINE void MoveAllBits(const Words* from, Words* to, std::index_sequence<i...> /*all*/) {
  (MoveBits<kAll[i], kPack>(from, to), ...);
}

// kSets times kSharingBytes streams, one behind the other: 16 bytes of each of 16 rows.
template <const auto& kAll, bool kPack, int kSets>
void MoveBlockBits(std::byte* block) {
  constexpr int64_t kStream = 16 * kPackedPanelRows;
  for (int set = 0; set < kSets; ++set) {
    std::byte* const first = block + set * kSharingBytes * kStream;
    for (std::byte* at = first; at < first + kStream; at += sizeof(Words)) {
      Words from[kSharingBytes];
      Words to[kSharingBytes] = {};
      LLMRUN_UNROLL for (int i = 0; i < kSharingBytes; ++i) {
        std::memcpy(&from[i], at + i * kStream, sizeof from[i]);
      }
      MoveAllBits<kAll, kPack>(from, to, std::make_index_sequence<std::size(kAll)>());
      LLMRUN_UNROLL for (int i = 0; i < kSharingBytes; ++i) {
        std::memcpy(at + i * kStream, &to[i], sizeof to[i]);
      }
    }
  }
}

}  // namespace

void PackThreeBits(std::byte* block) { MoveBlockBits<kThreeBits, true, 2>(block); }
void UnpackThreeBits(std::byte* block) { MoveBlockBits<kThreeBits, false, 2>(block); }
void PackSixBits(std::byte* block) { MoveBlockBits<kSixBits, true, 4>(block); }
void UnpackSixBits(std::byte* block) { MoveBlockBits<kSixBits, false, 4>(block); }

}  // namespace llmrun
