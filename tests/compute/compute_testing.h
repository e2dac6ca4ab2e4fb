// What the tests of compute share: the levels of this machine, memory with guard pages around it,
// random weights with known scales.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/check.h"
#include "compute/half.h"
#include "compute/kernels.h"
#include "memory/dtype.h"

namespace llmrun::testing {

inline std::vector<const Kernels*> SupportedKernels() {
  std::vector<const Kernels*> kernels;
  for (IsaLevel level : {IsaLevel::kPortable, IsaLevel::kAvx2, IsaLevel::kAvx512}) {
    if (ChooseIsa(NameOf(level))) kernels.push_back(&KernelsFor(level));
  }
  return kernels;
}

// `count` values of T directly before a page that may not be touched, or directly after one.
enum class Guard { kAfter, kBefore };

template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t count, Guard guard = Guard::kAfter) : count_(count) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t body = (count * sizeof(T) + page - 1) / page * page;
    map_bytes_ = body + 2 * page;
    map_ = static_cast<std::byte*>(
        ::mmap(nullptr, map_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(map_ != MAP_FAILED);
    CHECK(body == 0 || ::mprotect(map_ + page, body, PROT_READ | PROT_WRITE) == 0);
    std::byte* begin = map_ + page;
    if (guard == Guard::kAfter) begin += body - count * sizeof(T);
    data_ = reinterpret_cast<T*>(begin);
  }
  Guarded(std::span<const T> values, Guard guard) : Guarded(values.size(), guard) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size_bytes());
  }
  ~Guarded() { ::munmap(map_, map_bytes_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  std::span<T> span() { return {data_, count_}; }

 private:
  size_t count_;
  size_t map_bytes_ = 0;
  std::byte* map_ = nullptr;
  T* data_ = nullptr;
};

inline constexpr DType kMatmulTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0,
                                         DType::kQ4_0, DType::kQ4_K, DType::kQ6_K};
inline constexpr DType kQuantTypes[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_K, DType::kQ6_K};

// Every type that DequantizeRow knows.
inline constexpr DType kCodecTypes[] = {
    DType::kF32,   DType::kF16,   DType::kBF16,  DType::kQ4_0,   DType::kQ4_1,
    DType::kQ5_0,  DType::kQ5_1,  DType::kQ8_0,  DType::kQ2_K,   DType::kQ3_K,
    DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K,  DType::kIQ4_NL, DType::kIQ4_XS,
    DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4, DType::kIQ2_BN};

// The offsets of the f16 scales and minimums in a block of a quantized type.
inline std::vector<size_t> ScaleOffsets(DType type) {
  switch (type) {
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    case DType::kTQ1_0:
      return {52};
    case DType::kTQ2_0:
      return {64};
    case DType::kMXFP4:   // an exponent
    case DType::kIQ2_BN:  // a float32 before each row
      return {};
    default:
      return {0};
  }
}

// Gives the scales and minimums of rows of `row_bytes` what `next` returns, each of them another;
// MXFP4 the power of two below it, which is the scale of its doubled values.
template <typename Next>
void SetScales(DType type, std::span<std::byte> weights, size_t row_bytes, Next next) {
  const BlockTraits& traits = TraitsOf(type);
  const std::vector<size_t> offsets = ScaleOffsets(type);
  const auto put = [&](size_t at, auto value) {
    std::memcpy(weights.data() + at, &value, sizeof value);
  };
  for (size_t row = 0; row < weights.size(); row += row_bytes) {
    if (type == DType::kIQ2_BN) put(row, next());
    for (size_t at = row + traits.row_head_bytes; at < row + row_bytes; at += traits.block_bytes) {
      for (size_t offset : offsets) put(at + offset, FloatToHalf(next()));
      if (type != DType::kMXFP4) continue;
      put(at, static_cast<uint8_t>(128 + std::clamp(std::ilogb(next()), -127, 127)));
    }
  }
}

// All scales and minimums the same. IQ2_BN: `weights` is one row unless `cols` says how long one
// is.
inline void SetBlockScales(DType type, std::span<std::byte> weights, uint16_t half,
                           uint64_t cols = 0) {
  SetScales(type, weights, cols == 0 ? weights.size() : RowBytes(type, cols),
            [=] { return HalfToFloat(half); });
}

// Rows of random weights: any bytes in the quants, scales and float values of ordinary size.
inline std::vector<std::byte> RandomWeights(DType type, int64_t rows, int64_t cols,
                                            std::mt19937& random) {
  const auto n = static_cast<size_t>(rows * cols);
  std::normal_distribution<float> normal;
  std::vector<std::byte> bytes(static_cast<size_t>(rows) *
                               RowBytes(type, static_cast<uint64_t>(cols)));
  const auto put = [&](size_t at, auto value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  for (size_t i = 0; type == DType::kF32 && i < n; ++i) put(i * 4, normal(random));
  for (size_t i = 0; type == DType::kF16 && i < n; ++i) put(i * 2, FloatToHalf(normal(random)));
  for (size_t i = 0; type == DType::kBF16 && i < n; ++i) {
    put(i * 2, static_cast<uint16_t>(std::bit_cast<uint32_t>(normal(random)) >> 16));
  }
  if (TraitsOf(type).block_elems == 1) return bytes;
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  SetScales(type, bytes, RowBytes(type, static_cast<uint64_t>(cols)),
            [&] { return normal(random) * 0.01F; });
  return bytes;
}

inline std::vector<float> RandomFloats(int64_t n, std::mt19937& random, float sigma = 1.0F) {
  std::normal_distribution<float> normal(0.0F, sigma);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// Activations in the form that a type wants, owned.
struct Activations {
  std::vector<float> x;
  std::vector<int8_t> q;
  std::vector<float> scale;
  std::vector<int16_t> sums;

  QuantizedRows rows() const { return {q.data(), scale.data(), sums.data()}; }
};

inline Activations Quantize(std::vector<float> x, int64_t n_tokens, int64_t n_cols,
                            const Kernels& kernels = KernelsFor(IsaLevel::kPortable)) {
  Activations a;
  const auto n = static_cast<size_t>(n_tokens * n_cols);
  a.q.resize(n);
  a.scale.resize(n / kQuantBlock);
  a.sums.resize(n / kSumBlock);
  if (n_cols % kQuantBlock == 0) {
    kernels.quantize_rows(x.data(), n_tokens, n_cols, a.q.data(), a.scale.data(), a.sums.data());
  }
  a.x = std::move(x);
  return a;
}

inline MatmulArgs ArgsFor(DType type, const std::byte* weights, int64_t rows, int64_t cols,
                          const Activations& activations, int64_t n_tokens, float* out) {
  MatmulArgs args;
  args.dtype = type;
  args.weights = weights;
  args.row_bytes = RowBytes(type, static_cast<uint64_t>(cols));
  args.n_cols = cols;
  args.row_end = rows;
  args.n_tokens = n_tokens;
  args.x = activations.x.data();
  args.xq = activations.rows();
  args.out = out;
  args.out_stride = rows;
  return args;
}

inline std::vector<uint32_t> Bits(std::span<const float> values) {
  std::vector<uint32_t> bits;
  for (float v : values) bits.push_back(std::bit_cast<uint32_t>(v));
  return bits;
}

}  // namespace llmrun::testing
