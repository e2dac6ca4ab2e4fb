#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/checked.h"
#include "base/fallback.h"
#include "base/units.h"

namespace llmrun {
namespace {

Result<int> Half(int x) {
  if (x % 2 != 0) return MakeError(ErrorCode::kBadData, "{} is odd", x);
  return x / 2;
}

Result<int> Quarter(int x) {
  ASSIGN_OR_RETURN(const int half, Half(x));
  return Half(half);
}

TEST(Error, TravelsThroughAssignOrReturn) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(6).error().message, "3 is odd");
  EXPECT_EQ(ExitCode(Quarter(6).error().code), 65);
}

TEST(Error, OneLineNamesTheFix) {
  Error error{ErrorCode::kResource, "no 1G pages", "reserve some"};
  EXPECT_EQ(error.OneLine(), "no 1G pages; fix: reserve some");
  error.fix.clear();
  EXPECT_EQ(error.OneLine(), "no 1G pages");
}

TEST(Error, OsErrorMapsErrnoToExitCode) {
  EXPECT_EQ(ExitCode(OsError(ENOENT, "x").value().code), 66);
  EXPECT_EQ(ExitCode(OsError(ENOMEM, "x").value().code), 75);
  EXPECT_EQ(ExitCode(OsError(EIO, "x").value().code), 71);
  EXPECT_EQ(OsError(ENOENT, "m.gguf").value().message, "m.gguf: No such file or directory");
}

TEST(Fallback, ReadsAsOneLine) {
  EXPECT_EQ((Fallback{"1G pages", "2M pages", "pool empty", "reserve"}).OneLine(),
            "wanted 1G pages, got 2M pages: pool empty; fix: reserve");
}

TEST(Checked, RefusesWhatDoesNotFit) {
  uint64_t out = 0;
  EXPECT_TRUE(CheckedAdd(UINT64_MAX - 1, 1, &out));
  EXPECT_FALSE(CheckedAdd(UINT64_MAX, 1, &out));
  EXPECT_FALSE(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32, &out));
  EXPECT_FALSE(CheckedAlignUp(UINT64_MAX - 3, 32, &out));
  ASSERT_TRUE(CheckedAlignUp(33, 32, &out));
  EXPECT_EQ(out, 64U);
}

TEST(Units, ShowsBinarySizesAndDecimalRates) {
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(3 * kGiB / 2), "1.50 GiB");
  EXPECT_EQ(FormatRate(2'000'000'000, 1.0), "2.00 GB/s");
  EXPECT_EQ(FormatRate(1, 0.0), "-");
  EXPECT_EQ(FormatSeconds(125.4), "2 m 05 s");
}

}  // namespace
}  // namespace llmrun
