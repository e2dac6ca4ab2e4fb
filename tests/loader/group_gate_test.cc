#include "loader/group_gate.h"

#include <gtest/gtest.h>

#include <thread>

namespace llmrun {
namespace {

TEST(GroupGate, OpensWithTheLastReadOfAGroup) {
  GroupGate gate(std::vector<uint32_t>{2, 1, 0}, Stopwatch());
  EXPECT_FALSE(gate.Ready(0));
  EXPECT_FALSE(gate.Ready(1));
  EXPECT_TRUE(gate.Ready(2));  // nothing to wait for
  gate.Done(std::vector<GroupId>{0, 1});
  EXPECT_FALSE(gate.Ready(0));
  EXPECT_TRUE(gate.Ready(1));
  EXPECT_EQ(gate.first_layer_seconds(), 0.0);
  gate.Done(std::vector<GroupId>{0});
  EXPECT_TRUE(gate.Ready(0));
  EXPECT_GT(gate.first_layer_seconds(), 0.0);
  EXPECT_TRUE(gate.Wait(0));
}

TEST(GroupGate, FirstErrorStays) {
  GroupGate gate(std::vector<uint32_t>{1, 1}, Stopwatch());
  gate.Done(std::vector<GroupId>{0});
  EXPECT_TRUE(gate.Wait(0));
  gate.Fail({ErrorCode::kBadData, "first", ""});
  gate.Fail({ErrorCode::kOs, "second", ""});
  EXPECT_EQ(gate.Wait(0).error().message, "first");
  EXPECT_EQ(gate.Wait(1).error().message, "first");
}

// What the loading threads wrote before Done() is visible to whoever finds the group open.
TEST(GroupGate, PublishesWhatTwoThreadsWrote) {
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    GroupGate gate(std::vector<uint32_t>{2}, Stopwatch());
    int bytes[2] = {0, 0};
    const auto land = [&](int i) {
      bytes[i] = round + 1;
      gate.Done(std::vector<GroupId>{0});
    };
    std::thread first(land, 0);
    std::thread second(land, 1);
    ASSERT_TRUE(gate.Wait(0));
    EXPECT_EQ(bytes[0] + bytes[1], 2 * (round + 1));
    first.join();
    second.join();
  }
}

}  // namespace
}  // namespace llmrun
