#include "compute/kernel_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace llmrun {
namespace {

constexpr char kProcessor[] = "Some Processor \"9\"";

// Of a measurement that gives these in turn.
ProductKernel Faster(const std::vector<double>& multiply, const std::vector<double>& look_up) {
  size_t rounds[2] = {};
  return FasterKernel([&](ProductKernel kernel) {
    const bool looks_up = kernel == ProductKernel::kLookUp;
    const std::vector<double>& times = looks_up ? look_up : multiply;
    return times[std::min(rounds[looks_up]++, times.size() - 1)];
  });
}

TEST(KernelChoice, TheFasterKernelWins) {
  EXPECT_EQ(Faster({2e-3}, {1e-3}), ProductKernel::kLookUp);
  EXPECT_EQ(Faster({1e-3}, {2e-3}), ProductKernel::kMultiply);
  EXPECT_EQ(Faster({1e-3}, {1e-3}), ProductKernel::kMultiply);
  EXPECT_EQ(Faster({1e-3}, {0.98e-3}), ProductKernel::kMultiply);  // within the noise
}

TEST(KernelChoice, ADisturbedRoundDoesNotCount) {
  EXPECT_EQ(Faster({9e-3, 1e-3, 1e-3}, {0.5e-3, 7e-3, 7e-3}), ProductKernel::kLookUp);
  EXPECT_EQ(Faster({1e-3, 9e-3, 9e-3}, {2e-3, 2e-3, 2e-3}), ProductKernel::kMultiply);
}

TEST(KernelChoice, MeasuresBothInTurnAndNotForLong) {
  std::vector<ProductKernel> order;
  FasterKernel([&](ProductKernel kernel) {
    order.push_back(kernel);
    return 1.0;
  });
  ASSERT_EQ(order.size(), 6U);
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(order[i], i % 2 == 0 ? ProductKernel::kMultiply : ProductKernel::kLookUp);
  }
}

KernelChoices SomeChoices() {
  return {{{IsaLevel::kAvx2, DType::kTQ2_0, 2560, 6912}, ProductKernel::kLookUp},
          {{IsaLevel::kAvx2, DType::kTQ2_0, 2560, 2560}, ProductKernel::kMultiply},
          {{IsaLevel::kPortable, DType::kQ2_K, 32, 256}, ProductKernel::kLookUp},
          {{IsaLevel::kAvx512Bf16, DType::kIQ2_BN, 1, 512}, ProductKernel::kMultiply}};
}

TEST(KernelChoice, AFileGivesBackWhatWasWritten) {
  EXPECT_EQ(ParseKernelChoices(KernelChoicesText(SomeChoices(), kProcessor), kProcessor),
            SomeChoices());
  EXPECT_EQ(ParseKernelChoices(KernelChoicesText({}, kProcessor), kProcessor), KernelChoices{});
}

TEST(KernelChoice, OfAnotherProcessorOrVersionNothingIsKnown) {
  const std::string text = KernelChoicesText(SomeChoices(), kProcessor);
  EXPECT_EQ(ParseKernelChoices(text, "Another"), KernelChoices{});
  std::string other = text;
  const std::string version = "\"version\": " + std::to_string(kKernelChoiceVersion);
  const size_t at = other.find(version);
  ASSERT_NE(at, std::string::npos);
  other.replace(at, version.size(), "\"version\": 999");
  EXPECT_EQ(ParseKernelChoices(other, kProcessor), KernelChoices{});
}

TEST(KernelChoice, OfADamagedFileNothingIsKnown) {
  const std::string text = KernelChoicesText(SomeChoices(), kProcessor);
  for (size_t n = 0; n + 2 < text.size(); ++n) {
    EXPECT_EQ(ParseKernelChoices(text.substr(0, n), kProcessor), KernelChoices{}) << n;
  }
  for (const char* bad : {"[]", "7", "null", "{}", "\xFF", "{\"version\": \"1\"}"}) {
    EXPECT_EQ(ParseKernelChoices(bad, kProcessor), KernelChoices{}) << bad;
  }
  const auto with = [&](const std::string& what, const std::string& instead) {
    std::string changed = text;
    const size_t at = changed.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return changed.replace(at, what.size(), instead);
  };
  const std::pair<const char*, const char*> changes[] = {
      {"\"lookup\"", "\"guess\""}, {"\"portable\"", "\"sse9\""}, {"\"Q2_K\"", "\"Q8_0\""},
      {"\"Q2_K\"", "12"},          {"6912", "\"many\""},         {"\"rows\"", "\"lines\""}};
  for (const auto& [what, instead] : changes) {
    EXPECT_EQ(ParseKernelChoices(with(what, instead), kProcessor), KernelChoices{}) << what;
  }
}

}  // namespace
}  // namespace llmrun
