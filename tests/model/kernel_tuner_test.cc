// Which kernels multiply single tokens: whatever is chosen, the bits are the same.
#include "model/kernel_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/session.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

using Mode = KernelTuning::Mode;

// Of a prompt and of tokens after it, each the likeliest.
std::vector<uint32_t> BitsOf(Session& session) {
  std::vector<uint32_t> bits;
  std::vector<TokenId> next = {1, 40, 7, 255, 41, 9, 200};
  for (int step = 0; step < 6; ++step) {
    const auto logits = session.Forward(next, LogitsOf::kLast).value();
    std::ranges::transform(logits, std::back_inserter(bits), std::bit_cast<uint32_t, float>);
    next = {static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin())};
  }
  return bits;
}

struct TunedRun {
  std::vector<uint32_t> bits;
  KernelTuned tuned;
};

TunedRun RunTuned(const LoadedModel& model, const KernelTuning& tuning, int threads = 2,
                  IsaLevel isa = SupportedIsaLevels().back()) {
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
  const auto session = model.NewSession(*pool, {.isa = isa, .kernels = tuning}).value();
  TunedRun run{.bits = BitsOf(*session), .tuned = session->tuned()};
  return run;
}

TinyLlamaSpec TwoBits(DType type) {
  return {.d_model = 256, .d_ff = 512, .dtype = type, .architecture = "llama"};
}

class KernelTunerTypes : public testing::TestWithParam<DType> {};

TEST_P(KernelTunerTypes, LookedUpLogitsHaveTheSameBits) {
  const TempFile file(BuildTinyLlama(TwoBits(GetParam())));
  const auto model = LoadedModel::Start(file.path()).value();
  const TunedRun expected = RunTuned(*model, {}, 1);
  EXPECT_EQ(expected.tuned.choices, KernelChoices{});
  for (const IsaLevel isa : SupportedIsaLevels()) {
    for (const int threads : {1, 2, 5}) {
      const TunedRun run = RunTuned(*model, {.mode = Mode::kLookUp}, threads, isa);
      EXPECT_TRUE(run.bits == expected.bits) << NameOf(isa) << ", " << threads << " threads";
      EXPECT_EQ(run.tuned.choices.size(), 5U);  // q is like attn_output, k like v, gate like up
      EXPECT_EQ(run.tuned.measured, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, KernelTunerTypes, testing::Values(DType::kTQ2_0, DType::kQ2_K),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

// Ternary models have norms between, whose rows each member prepares for itself.
TEST(KernelTuner, SubNormsToo) {
  TinyLlamaSpec spec = TwoBits(DType::kTQ2_0);
  spec.architecture = "bitnet-b1.58";
  spec.tied = true;
  const TempFile file(BuildTinyLlama(spec));
  const auto model = LoadedModel::Start(file.path()).value();
  const std::vector<uint32_t> expected = RunTuned(*model, {}).bits;
  EXPECT_TRUE(RunTuned(*model, {.mode = Mode::kLookUp}, 3).bits == expected);
}

TEST(KernelTuner, KeepsWhatWasFasterAndDoesNotMeasureAgain) {
  const TempFile file(BuildTinyLlama(TwoBits(DType::kTQ2_0)));
  const auto model = LoadedModel::Start(file.path()).value();
  KernelTuning tuning{.mode = Mode::kMeasure};
  tuning.measure = [](const ProductShape& shape, ProductKernel kernel) {
    const bool looks_up = kernel == ProductKernel::kLookUp;
    return looks_up == (shape.cols == 512) ? 1.0 : 2.0;  // faster for `down` alone
  };
  int told = 0;
  KernelChoices kept;
  tuning.on_measured = [&](const KernelTuned& tuned) {
    ++told;
    kept = tuned.choices;
  };
  const TunedRun first = RunTuned(*model, tuning);
  EXPECT_TRUE(first.bits == RunTuned(*model, {}).bits);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(first.tuned.measured, 5);
  EXPECT_EQ(kept, first.tuned.choices);
  for (const auto& [shape, kernel] : kept) {
    EXPECT_EQ(shape.isa, SupportedIsaLevels().back());
    EXPECT_EQ(kernel == ProductKernel::kLookUp, shape.cols == 512);
  }
  tuning.known = kept;
  tuning.known.erase(tuning.known.begin());
  tuning.measure = [&](const ProductShape& shape, ProductKernel /*kernel*/) {
    EXPECT_EQ(shape, kept.begin()->first);
    return 1.0;
  };
  const TunedRun second = RunTuned(*model, tuning);
  EXPECT_TRUE(second.bits == first.bits);
  EXPECT_EQ(second.tuned.measured, 1);
  EXPECT_EQ(told, 2);
}

TEST(KernelTuner, MeasuresTheWeightsThemselves) {
  const TempFile file(BuildTinyLlama(TwoBits(DType::kQ2_K)));
  const auto model = LoadedModel::Start(file.path()).value();
  const TunedRun run = RunTuned(*model, {.mode = Mode::kMeasure}, 3);
  EXPECT_EQ(run.tuned.measured, 5);
  EXPECT_EQ(run.tuned.choices.size(), 5U);
  EXPECT_GT(run.tuned.seconds, 0);
  EXPECT_TRUE(run.bits == RunTuned(*model, {}).bits);
}

TEST(KernelTuner, HasNothingToChooseForOtherWeights) {
  const KernelTuning tuning{.mode = Mode::kMeasure};
  const TempFile other(BuildTinyLlama({.dtype = DType::kQ8_0}));
  EXPECT_EQ(RunTuned(*LoadedModel::Start(other.path()).value(), tuning).tuned.choices.size(), 0U);
  const TempFile file(BuildTinyLlama(TwoBits(DType::kTQ2_0)));
  const auto unpacked = LoadedModel::Start(file.path(), {.pack = false}).value();
  EXPECT_EQ(RunTuned(*unpacked, tuning).tuned.choices.size(), 0U);
}

class KernelTunerOracle : public testing::TestWithParam<const char*> {};

TEST_P(KernelTunerOracle, LookedUpLogitsHaveTheSameBits) {
  const char* given = std::getenv("LLMRUN_ORACLE");
  const std::filesystem::path root =
      given != nullptr ? given : std::string(LLMRUN_SOURCE_DIR) + "/../shared/oracle";
  const std::filesystem::path path = root / GetParam() / "model.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no oracle data at " << path;
  const auto model = LoadedModel::Start(path).value();
  const TunedRun run = RunTuned(*model, {.mode = Mode::kLookUp});
  EXPECT_GT(run.tuned.choices.size(), 0U);
  EXPECT_TRUE(run.bits == RunTuned(*model, {}).bits);
}

INSTANTIATE_TEST_SUITE_P(All, KernelTunerOracle,
                         testing::Values("quant/llama-i2_s", "quant/llama-iq2_bn",
                                         "quant/llama-tq2_0", "quant/llama-q2_k",
                                         "arch/bitnet-b1.58-i2_s", "arch/bitnet-b1.58-iq2_bn"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) {
                             if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace llmrun
