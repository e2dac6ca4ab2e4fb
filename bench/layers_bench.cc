// What a layer does beside matrix products and attention, one core, 16 tokens of 4096 values that
// stay in its cache.
//   layer/KERNEL/ISA   GB/s of values read, %read: of reading them and doing nothing else
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/beside_roof.h"
#include "compute/kernels.h"
#include "memory/dtype.h"

namespace llmrun {
namespace {

constexpr int64_t kCols = 4096;
constexpr int64_t kTokens = 16;
constexpr int64_t kValues = kTokens * kCols;
constexpr int64_t kHead = 128;

// x 20, so that x / (1 + exp(-x)) leaves it what it is; rotations do, too.
struct Values {
  std::vector<float> x = std::vector<float>(kValues, 20.0F);
  std::vector<float> zeros = std::vector<float>(kValues, 0.0F);
  std::vector<float> ones = std::vector<float>(kValues, 1.0F);
  std::vector<float> cos = std::vector<float>(kHead / 2, std::cos(0.5F));
  std::vector<float> sin = std::vector<float>(kHead / 2, std::sin(0.5F));
  std::vector<float> out = std::vector<float>(kValues);
  std::vector<int8_t> q = std::vector<int8_t>(kValues);
  std::vector<float> scale = std::vector<float>(kValues / kQuantBlock);
  std::vector<int16_t> sums = std::vector<int16_t>(kValues / kSumBlock);
};

struct Layer {
  const char* name;
  int reads;  // arrays of kValues floats
  void (*run)(const Kernels& kernels, Values& v);
};

constexpr Layer kLayers[] = {
    {"rms_norm", 1,
     [](const Kernels& kernels, Values& v) {
       for (int64_t i = 0; i < kValues; i += kCols) {
         kernels.rms_norm(v.x.data() + i, v.ones.data(), kCols, 1e-5F, v.out.data() + i);
       }
     }},
    {"silu_mul", 2,
     [](const Kernels& kernels, Values& v) {
       kernels.silu_mul(v.x.data(), v.ones.data(), kValues);
     }},
    {"relu2_mul", 2,
     [](const Kernels& kernels, Values& v) {
       kernels.relu2_mul(v.x.data(), v.ones.data(), kValues);
     }},
    {"layer_norm", 1,
     [](const Kernels& kernels, Values& v) {
       for (int64_t i = 0; i < kValues; i += kCols) {
         kernels.layer_norm(v.x.data() + i, v.ones.data(), v.zeros.data(), kCols, 1e-5F,
                            v.out.data() + i);
       }
     }},
    {"gelu_mul", 2,
     [](const Kernels& kernels, Values& v) {
       kernels.gelu_mul(v.x.data(), v.ones.data(), kValues);
     }},
    {"clamped_swiglu", 2,
     [](const Kernels& kernels, Values& v) {
       kernels.clamped_swiglu(v.x.data(), v.zeros.data(), kValues);
     }},
    {"soft_cap", 1,
     [](const Kernels& kernels, Values& v) { kernels.soft_cap(v.x.data(), 1e6F, kValues); }},
    {"add_scaled", 2,
     [](const Kernels& kernels, Values& v) {
       kernels.add_scaled(v.x.data(), v.zeros.data(), 0.5F, kValues);
     }},
    {"add", 2,
     [](const Kernels& kernels, Values& v) { kernels.add(v.x.data(), v.zeros.data(), kValues); }},
    {"rope", 1,
     [](const Kernels& kernels, Values& v) {
       for (int64_t i = 0; i < kValues; i += kHead) {
         kernels.rope(v.x.data() + i, v.cos.data(), v.sin.data(), kHead, false);
       }
     }},
    {"rope_interleaved", 1,
     [](const Kernels& kernels, Values& v) {
       for (int64_t i = 0; i < kValues; i += kHead) {
         kernels.rope(v.x.data() + i, v.cos.data(), v.sin.data(), kHead, true);
       }
     }},
    {"quantize_rows", 1,
     [](const Kernels& kernels, Values& v) {
       kernels.quantize_rows(v.x.data(), kTokens, kCols, v.q.data(), v.scale.data(), v.sums.data());
     }},
    {"store_key_f16", 1,
     [](const Kernels& kernels, Values& v) {
       auto* keys = reinterpret_cast<std::byte*>(v.out.data());
       for (int64_t i = 0; i < kValues / kHead; ++i) {
         kernels.store_key(v.x.data() + i * kHead, kHead, DType::kF16, keys, i);
       }
     }},
};

void RunLayer(benchmark::State& state, const Layer& layer, IsaLevel level) {
  Values values;
  const std::vector<float> read(static_cast<size_t>(kValues * layer.reads));
  const auto pool = PinnedPool(1);
  RunBesideRead(state, *pool, std::as_bytes(std::span(read)),
                [&] { layer.run(KernelsFor(level), values); });
}

void Register() {
  for (IsaLevel level : AllIsaLevels()) {
    // Those above have the same.
    if (!ChooseIsa(NameOf(level)) || level > IsaLevel::kAvx512) continue;
    for (const Layer& layer : kLayers) {
      const std::string name = fmt::format("layer/{}/{}", layer.name, NameOf(level));
      benchmark::RegisterBenchmark(
          name.c_str(), [&layer, level](benchmark::State& state) { RunLayer(state, layer, level); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

[[maybe_unused]] const bool registered = (Register(), true);

}  // namespace
}  // namespace llmrun
