#include <gtest/gtest.h>

#include "compute/kernels.h"
#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

TEST(ChooseIsa, TakesTheBestWhenNotAsked) {
  const Result<IsaLevel> best = ChooseIsa("");
  ASSERT_TRUE(best.has_value());
  EXPECT_EQ(*best, testing::SupportedKernels().back()->isa);
  EXPECT_NE(*best, IsaLevel::kAmxEmulated);
}

TEST(ChooseIsa, TakesTheNamedLevel) {
  EXPECT_EQ(ChooseIsa("portable").value(), IsaLevel::kPortable);
  for (const Kernels* kernels : testing::SupportedKernels()) {
    EXPECT_EQ(ChooseIsa(NameOf(kernels->isa)).value(), kernels->isa);
    EXPECT_EQ(&KernelsFor(kernels->isa), kernels);
  }
}

TEST(ChooseIsa, RefusesUnknownNamesAndListsTheKnown) {
  for (const char* name : {"avx", "AVX2", "avx512", " "}) {
    const Result<IsaLevel> level = ChooseIsa(name);
    ASSERT_FALSE(level.has_value()) << name;
    EXPECT_EQ(level.error().code, ErrorCode::kUsage);
    EXPECT_NE(level.error().message.find(
                  "portable, amx_emulated, avx2, avxvnni, avx512vnni, amx, avx512bf16"),
              std::string::npos);
  }
}

TEST(ChooseIsa, SaysWhenTheMachineLacksALevel) {
  for (const char* name : {"avx2", "avxvnni", "avx512vnni", "avx512bf16", "amx"}) {
    const Result<IsaLevel> level = ChooseIsa(name);
    if (level) continue;
    EXPECT_EQ(level.error().code, ErrorCode::kUnavailable);
  }
}

TEST(Kernels, KnowTheirTypes) {
  for (DType type : testing::kMatmulTypes) EXPECT_TRUE(HasMatmul(type));
  for (DType type : testing::kQuantTypes) EXPECT_TRUE(UsesQuantizedActivations(type));
  EXPECT_FALSE(UsesQuantizedActivations(DType::kF16));
  EXPECT_FALSE(HasMatmul(DType::kIQ2_XXS));
  EXPECT_FALSE(HasMatmul(DType::kI32));
}

}  // namespace
}  // namespace llmrun
