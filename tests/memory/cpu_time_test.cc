#include "memory/cpu_time.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace llmrun {
namespace {

TEST(CpuTime, StealIsTheEighthNumberOfTheFirstLine) {
  const char* stat = "cpu  164 2 303 40000 5 6 7 250 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
  EXPECT_EQ(ParseStolenSeconds(stat, 100), 2.5);
  EXPECT_EQ(ParseStolenSeconds("cpu  0 0 0 0 0 0 0 0\n", 100), 0);
}

TEST(CpuTime, WhatDoesNotSayIsNotTakenForNothing) {
  EXPECT_EQ(ParseStolenSeconds("", 100), std::nullopt);
  EXPECT_EQ(ParseStolenSeconds("cpu  1 2 3 4 5 6 7\n", 100), std::nullopt);
  EXPECT_EQ(ParseStolenSeconds("cpu  1 2 3 4 5 6 7 x\n", 100), std::nullopt);
  EXPECT_EQ(ParseStolenSeconds("cpu0 1 2 3 4 5 6 7 8\n", 100), std::nullopt);
}

TEST(CpuTime, TheProcessIsChargedForWhatItComputes) {
  const double before = ProcessCpuSeconds();
  volatile uint64_t sum = 0;
  while (ProcessCpuSeconds() < before + 0.02) {
    for (uint64_t i = 0; i < 1000; ++i) sum = sum + i;
  }
  EXPECT_GE(ProcessCpuSeconds() - before, 0.02);
}

TEST(CpuTime, ThisKernelTells) {
  const auto before = StolenCpuSeconds();
  ASSERT_TRUE(before);
  EXPECT_GE(*before, 0);
  EXPECT_GE(StolenCpuSeconds(), before);
}

}  // namespace
}  // namespace llmrun
