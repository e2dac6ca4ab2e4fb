#include "compute/peak_rate.h"

#include <gtest/gtest.h>

#include "tests/compute/compute_testing.h"

namespace llmrun {
namespace {

TEST(Peak, CountsMultiplyAdds) {
  for (const Kernels* kernels : testing::SupportedKernels()) {
    SCOPED_TRACE(NameOf(kernels->isa));
    for (const auto peak : {kernels->peak_int8, kernels->peak_f32, kernels->peak_bf16}) {
      const int64_t one = peak(1);
      EXPECT_GT(one, 0);
      EXPECT_EQ(one % 16, 0) << "of whole vectors";
      EXPECT_EQ(peak(0), 0);
      EXPECT_EQ(peak(1000), 1000 * one);
    }
  }
  // 16 registers of 16 sums, each of four products or one.
  if (!ChooseIsa("avx512vnni")) return;
  EXPECT_EQ(KernelsFor(IsaLevel::kAvx512).peak_int8(1), 1024);
  EXPECT_EQ(KernelsFor(IsaLevel::kAvx512).peak_f32(1), 256);
}

TEST(Peak, IsOfTheTypesProducts) {
  EXPECT_EQ(PeakOfType(DType::kQ4_0), kPeakInt8);
  EXPECT_EQ(PeakOfType(DType::kTQ2_0), kPeakInt8);
  EXPECT_EQ(PeakOfType(DType::kF32), kPeakF32);
  EXPECT_EQ(PeakOfType(DType::kBF16), kPeakBf16);
}

TEST(Peak, IsMeasured) {
  ThreadPoolOptions options;
  options.threads = 2;
  const auto pool = ThreadPool::Create(options).value();
  for (const PeakOf of : {kPeakInt8, kPeakF32, kPeakBf16}) {
    EXPECT_GT(MeasurePeakRate(*pool, KernelsFor(IsaLevel::kPortable), of, 0), 0);
  }
}

}  // namespace
}  // namespace llmrun
