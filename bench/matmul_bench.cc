// The matrix product per type and instruction set.
//   decode/TYPE/ISA/threads:N   one token, weights larger than any cache: GB/s of weights, %read
//   decode-lookup/...           the same by looking sums up in tables, the making of these included
//   few/TYPE/ISA/threads:N      four tokens, the same weights: GB/s of weights, %read
//   prompt/TYPE/ISA/threads:N   256 tokens, 4096 x 4096 weights: GMAC/s, %peak
//   decode-raw/..., prompt-raw/...  the same of types that are packed, from rows as in the file
//   read/threads:N              the roof of decode alone, GB/s
//   peak/int8|f32/ISA/threads:N the roof of prompts alone, GMAC/s
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/units.h"
#include "bench/beside_roof.h"
#include "compute/kernels.h"
#include "compute/packing.h"
#include "memory/dtype.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr int64_t kCols = 4096;
constexpr uint64_t kDecodeBytes = 512 * kMiB;
constexpr int64_t kPromptRows = 4096;
constexpr int64_t kPromptTokens = 256;
constexpr int64_t kFewTokens = 4;
constexpr uint16_t kHalfScale = 0x1400;  // 2^-10

constexpr DType kTypes[] = {DType::kF32,   DType::kF16,    DType::kBF16,   DType::kQ8_0,
                            DType::kQ4_0,  DType::kQ4_1,   DType::kQ5_0,   DType::kQ5_1,
                            DType::kQ2_K,  DType::kQ3_K,   DType::kQ4_K,   DType::kQ5_K,
                            DType::kQ6_K,  DType::kIQ4_NL, DType::kIQ4_XS, DType::kTQ1_0,
                            DType::kTQ2_0, DType::kMXFP4,  DType::kI2_S,   DType::kIQ2_BN};

// One region for all weights, never freed, on huge pages where the kernel gives them. Every two
// bytes are 2^-10 as a half: a harmless scale or value in every type, packed or not.
std::byte* Weights() {
  static std::byte* const weights = [] {
    void* map =
        ::mmap(nullptr, kDecodeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    ::madvise(map, kDecodeBytes, MADV_HUGEPAGE);
    auto* halves = static_cast<uint16_t*>(map);
    for (size_t i = 0; i < kDecodeBytes / 2; ++i) halves[i] = kHalfScale;
    return static_cast<std::byte*>(map);
  }();
  return weights;
}

struct Activations {
  std::vector<float> x;
  std::vector<int8_t> q;
  std::vector<float> scale;
  std::vector<int16_t> sums;
};

Activations MakeActivations(const Kernels& kernels, int64_t tokens) {
  Activations a;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  a.x.resize(static_cast<size_t>(tokens * kCols));
  for (float& v : a.x) v = normal(random);
  a.q.resize(a.x.size());
  a.scale.resize(a.x.size() / kQuantBlock);
  a.sums.resize(a.x.size() / kSumBlock);
  kernels.quantize_rows(a.x.data(), tokens, kCols, a.q.data(), a.scale.data(), a.sums.data());
  return a;
}

struct Product {
  DType type;
  IsaLevel level;
  int threads;
  int64_t rows;
  int64_t tokens;
  bool packed;
  bool look_up = false;
};

void RunMatmul(benchmark::State& state, const Product& product) {
  const auto& [type, level, threads, rows, tokens, packed, look_up] = product;
  const Kernels& kernels = KernelsFor(level);
  const Activations a = MakeActivations(kernels, tokens);
  std::vector<float> out(static_cast<size_t>(rows * tokens));
  MatmulArgs args;
  args.dtype = type;
  args.weights = Weights();
  args.row_bytes = RowBytes(type, kCols);
  args.packed_rows = packed ? PackedRowsOf(rows) : 0;
  args.n_cols = kCols;
  args.n_tokens = tokens;
  args.x = a.x.data();
  args.xq = {a.q.data(), a.scale.data(), a.sums.data()};
  args.out = out.data();
  args.out_stride = rows;
  const auto pool = PinnedPool(threads);
  std::vector<std::vector<int8_t>> tables(static_cast<size_t>(threads));
  for (std::vector<int8_t>& own : tables) own.resize(static_cast<size_t>(TableBytes(kCols)));
  const auto work = [&] {
    pool->Run([&](int member) {
      const Range range = StaticRange(rows, threads, member, 16);
      MatmulArgs part = args;
      part.row_begin = range.begin;
      part.row_end = range.end;
      if (look_up) {  // by each for itself, as models do
        int8_t* own = tables[static_cast<size_t>(member)].data();
        kernels.make_tables(args.xq.q, kCols, own);
        part.xq.tables = own;
      }
      CHECK(kernels.matmul(part));
    });
  };
  if (tokens <= kFewTokens) {
    RunBesideRead(state, *pool, {Weights(), static_cast<uint64_t>(rows) * args.row_bytes}, work);
  } else {
    RunBesidePeak(state, *pool, kernels, PeakOfType(type),
                  static_cast<double>(rows * kCols * tokens), work);
  }
}

void ReadMemory(benchmark::State& state, int threads) {
  const auto pool = PinnedPool(threads);
  const ReadArea area = {{Weights(), kDecodeBytes}, std::nullopt};
  double rate = 0;
  for (auto _ : state) rate = std::max(rate, MeasureReadRate(*pool, std::span(&area, 1)));
  state.counters["GB/s"] = rate * 1e-9;
}

void Peak(benchmark::State& state, IsaLevel level, PeakOf of, int threads) {
  const auto pool = PinnedPool(threads);
  double rate = 0;
  for (auto _ : state) rate = std::max(rate, MeasurePeakRate(*pool, KernelsFor(level), of));
  state.counters["GMAC/s"] = rate * 1e-9;
}

// Or the kernels of the level below.
bool HasItsOwn(IsaLevel level, PeakOf of) {
  if (level == IsaLevel::kAvx512Bf16) return of == kPeakBf16;
  return level != IsaLevel::kAmx || of == kPeakInt8;
}

void Register() {
  const auto add = [](const std::string& name, auto run) {
    benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMillisecond);
  };
  for (int threads : {1, 2}) {
    if (threads > static_cast<int>(std::thread::hardware_concurrency())) continue;
    const std::string tail = fmt::format("/threads:{}", threads);
    add("read" + tail, [=](benchmark::State& state) { ReadMemory(state, threads); });
    for (IsaLevel level : AllIsaLevels()) {
      if (!ChooseIsa(NameOf(level)) || level == IsaLevel::kAmxEmulated) continue;
      constexpr std::pair<PeakOf, const char*> kOf[] = {
          {kPeakInt8, "int8"}, {kPeakF32, "f32"}, {kPeakBf16, "bf16"}};
      for (const auto& [of, what] : kOf) {
        if (!HasItsOwn(level, of)) continue;
        add(fmt::format("peak/{}/{}{}", what, NameOf(level), tail),
            [=](benchmark::State& state) { Peak(state, level, of, threads); });
      }
      for (DType type : kTypes) {
        if (!HasItsOwn(level, PeakOfType(type))) continue;
        const std::string name = fmt::format("/{}/{}{}", NameOf(type), NameOf(level), tail);
        const auto rows = static_cast<int64_t>(kDecodeBytes / RowBytes(type, kCols) / 32 * 32);
        const bool packs = CanPack(type, kCols);
        for (const bool packed : {packs, false}) {
          const std::string raw = packs && !packed ? "-raw" : "";
          add("decode" + raw + name, [=](benchmark::State& state) {
            RunMatmul(state, {type, level, threads, rows, 1, packed});
          });
          add("few" + raw + name, [=](benchmark::State& state) {
            RunMatmul(state, {type, level, threads, rows, kFewTokens, packed});
          });
          add("prompt" + raw + name, [=](benchmark::State& state) {
            RunMatmul(state, {type, level, threads, kPromptRows, kPromptTokens, packed});
          });
          if (packed && CanLookUp(type)) {
            add("decode-lookup" + name, [=](benchmark::State& state) {
              RunMatmul(state, {type, level, threads, rows, 1, packed, true});
            });
          }
          if (!packs) break;
        }
      }
    }
  }
}

[[maybe_unused]] const bool registered = (Register(), true);

}  // namespace
}  // namespace llmrun
