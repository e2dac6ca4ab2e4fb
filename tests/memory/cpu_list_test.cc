#include "memory/cpu_list.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace llmrun {
namespace {

TEST(CpuList, RangesAndStrides) {
  const std::pair<const char*, std::vector<unsigned>> cases[] = {
      {"0", {0}},
      {"0-3,8,10-11", {0, 1, 2, 3, 8, 10, 11}},
      {"0-15:4", {0, 4, 8, 12}},
      {"1-2:7", {1}},
      {"5,3-4,0", {5, 3, 4, 0}},
      {"65535", {65'535}},
      {"7-8:4294967295", {7}},
  };
  for (const auto& [text, cpus] : cases) EXPECT_EQ(ParseCpuList(text), cpus) << text;
  EXPECT_EQ(ParseCpuList("0-65535").value().size(), 65'536U);
}

TEST(CpuList, SaysWhatIsWrongWithIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "'' is no CPU, range or range with a stride (0-15:2)"},
      {"1,", "'' is no CPU, range or range with a stride (0-15:2)"},
      {"0-3,x", "'x' is no CPU, range or range with a stride (0-15:2)"},
      {"0 - 3", "'0 - 3' is no CPU, range or range with a stride (0-15:2)"},
      {"-3", "'-3' is no CPU, range or range with a stride (0-15:2)"},
      {"3-", "'3-' is no CPU, range or range with a stride (0-15:2)"},
      {"3:2", "'3:2' is no CPU, range or range with a stride (0-15:2)"},
      {"0-7:2/4", "'0-7:2/4' is no CPU, range or range with a stride (0-15:2)"},
      {"4294967296", "'4294967296' is no CPU, range or range with a stride (0-15:2)"},
      {"3-1", "'3-1' goes down"},
      {"0-7:0", "'0-7:0' has a stride of 0"},
      {"0-65536", "'0-65536': CPUs go up to 65535"},
      {"0-4294967295", "'0-4294967295': CPUs go up to 65535"},
      {"0-3,8,2", "CPU 2 is there twice"},
  };
  for (const auto& [text, message] : cases) {
    const auto cpus = ParseCpuList(text);
    ASSERT_FALSE(cpus) << text;
    EXPECT_EQ(cpus.error().code, ErrorCode::kUsage);
    EXPECT_EQ(cpus.error().message, message);
  }
}

TEST(CpuList, Format) {
  const auto format = [](const std::vector<unsigned>& cpus) { return FormatCpuList(cpus); };
  EXPECT_EQ(format({}), "");
  EXPECT_EQ(format({4}), "4");
  EXPECT_EQ(format({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
  EXPECT_EQ(format({3, 2, 1}), "3,2,1");
}

}  // namespace
}  // namespace llmrun
