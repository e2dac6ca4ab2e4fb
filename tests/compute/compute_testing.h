// What the tests of compute share: the levels of this machine, memory with guard pages around it,
// random weights (random_weights.h) and activations.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "base/check.h"
#include "compute/kernels.h"
#include "memory/dtype.h"
#include "tests/compute/random_weights.h"

namespace llmrun::testing {

inline std::vector<const Kernels*> SupportedKernels() {
  std::vector<const Kernels*> kernels;
  for (IsaLevel level : AllIsaLevels()) {
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
  const T* data() const { return data_; }
  std::span<T> span() { return {data_, count_}; }

 private:
  size_t count_;
  size_t map_bytes_ = 0;
  std::byte* map_ = nullptr;
  T* data_ = nullptr;
};

inline constexpr DType kMatmulTypes[] = {
    DType::kF32,   DType::kF16,   DType::kBF16,  DType::kQ8_0,   DType::kQ4_0,
    DType::kQ4_1,  DType::kQ5_0,  DType::kQ5_1,  DType::kQ2_K,   DType::kQ3_K,
    DType::kQ4_K,  DType::kQ5_K,  DType::kQ6_K,  DType::kIQ4_NL, DType::kIQ4_XS,
    DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4, DType::kI2_S,   DType::kIQ2_BN};
inline constexpr auto kQuantTypes = std::span(kMatmulTypes).subspan<3>();

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

// The tables of one token, behind whose last byte nothing may be touched.
class OwnTables {
 public:
  OwnTables(const Kernels& kernels, const Activations& a, int64_t n_cols, int64_t token = 0)
      : tables_(static_cast<size_t>(n_cols % kQuantBlock == 0 ? TableBytes(n_cols) : 0)) {
    if (n_cols % kQuantBlock != 0) return;
    kernels.make_tables(a.q.data() + token * n_cols, n_cols, tables_.data());
  }
  const int8_t* data() const { return tables_.data(); }

 private:
  Guarded<int8_t> tables_;
};

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
