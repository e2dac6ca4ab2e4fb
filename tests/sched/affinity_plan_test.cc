#include "sched/affinity_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memory/cpu_list.h"
#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

using testing::DoubleEq;
using testing::Each;
using testing::ElementsAre;

constexpr PinMode::Kind kCores = PinMode::Kind::kCores;
constexpr PinMode::Kind kThreads = PinMode::Kind::kThreads;
constexpr PinMode::Kind kNone = PinMode::Kind::kNone;

Machine MachineLike(const std::string& description) {
  const auto machine = SyntheticMachine(description);
  EXPECT_TRUE(machine) << machine.error().OneLine();
  return machine.value_or(Machine());
}

PinMode List(std::vector<unsigned> cpus) { return {PinMode::Kind::kList, std::move(cpus)}; }

// The numbers of the CPUs of a plan that must succeed.
std::vector<unsigned> Planned(const Machine& machine, const NodeSet& nodes, const PinMode& mode,
                              int threads) {
  const auto plan = PlanAffinity(machine, nodes, mode, threads);
  EXPECT_TRUE(plan) << plan.error().OneLine();
  if (!plan) return {};
  EXPECT_EQ(plan->pinned, mode.kind != kNone);
  std::vector<unsigned> numbers;
  for (const Cpu& cpu : plan->cpus) {
    const auto known = std::ranges::find(machine.cpus, cpu.os_index, &Cpu::os_index);
    EXPECT_NE(known, machine.cpus.end());
    EXPECT_EQ(cpu.node, known->node);
    numbers.push_back(cpu.os_index);
  }
  return numbers;
}

TEST(Pin, Parses) {
  EXPECT_EQ(ParsePin("cores"), PinMode{kCores});
  EXPECT_EQ(ParsePin("threads"), PinMode{kThreads});
  EXPECT_EQ(ParsePin("none"), PinMode{kNone});
  EXPECT_EQ(ParsePin("0-3:2,9"), List({0, 2, 9}));
  EXPECT_EQ(NameOf(PinMode{kThreads}), "threads");
  EXPECT_EQ(NameOf(List({0, 1, 9})), "0-1,9");
  for (const char* text : {"", "core", "Cores", "numa", "1,1"}) {
    const auto mode = ParsePin(text);
    ASSERT_FALSE(mode) << text;
    EXPECT_EQ(mode.error().code, ErrorCode::kUsage);
    EXPECT_THAT(mode.error().message,
                testing::StartsWith(fmt::format("--pin={}: expected cores, threads, none or a list "
                                                "of CPUs like 0-3,8: ",
                                                text)));
  }
}

TEST(AffinityPlan, CoresFirst) {
  const Machine machine = MachineLike("pack:2 [numa(memory=8GB)] core:2 pu:2");  // 0-3 and 4-7
  const PinMode mode{kCores};
  EXPECT_THAT(Planned(machine, {}, mode, 3), ElementsAre(0, 2, 4));
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 2), ElementsAre(0, 4));
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 6), ElementsAre(0, 2, 1, 4, 6, 5));
  EXPECT_THAT(Planned(machine, {1}, mode, 3), ElementsAre(4, 6, 5));
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 100), testing::SizeIs(8));
}

TEST(AffinityPlan, SiblingsSideBySide) {
  const Machine machine = MachineLike("pack:2 [numa(memory=8GB)] core:2 pu:2");  // 0-3 and 4-7
  const PinMode mode{kThreads};
  EXPECT_THAT(Planned(machine, {}, mode, 1), ElementsAre(0));
  EXPECT_THAT(Planned(machine, {}, mode, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(Planned(machine, {}, mode, 6), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 2), ElementsAre(0, 1)) << "whole cores";
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 4), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 5), ElementsAre(0, 1, 2, 4, 5));
  EXPECT_THAT(Planned(machine, {1}, mode, 4), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(Planned(machine, {1}, mode, 5), ElementsAre(0, 4, 5, 6, 7)) << "the others by node";
  EXPECT_THAT(Planned(machine, {0, 1}, mode, 100), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

// Second siblings after all cores, and packages interleaved: core 0 is CPUs 0 and 8 of package 0.
TEST(AffinityPlan, NumbersThatAreNotLinear) {
  const Machine machine = MachineLike(
      "pack:2 [numa(memory=8GB)] core:4 pu:2(indexes=0,8,2,10,4,12,6,14,1,9,3,11,5,13,7,15)");
  EXPECT_THAT(Planned(machine, {0, 1}, {kThreads}, 6), ElementsAre(0, 8, 2, 10, 1, 9));
  EXPECT_THAT(Planned(machine, {1}, {kThreads}, 3), ElementsAre(1, 9, 3));
  EXPECT_THAT(Planned(machine, {0, 1}, {kCores}, 4), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(Planned(machine, {0}, List({9, 0, 14}), 3), ElementsAre(9, 0, 14));
}

// A cpuset that leaves halves of cores, whose CPUs do not come by core.
TEST(AffinityPlan, HalvesOfCores) {
  Machine machine;
  for (const auto& [os_index, core] : {std::pair(3U, 1U), {4, 2}, {9, 4}, {5, 2}}) {
    machine.cpus.push_back({.os_index = os_index, .core = core});
  }
  EXPECT_THAT(Planned(machine, {}, {kThreads}, 3), ElementsAre(3, 4, 5));
  EXPECT_THAT(Planned(machine, {0}, {kThreads}, 4), ElementsAre(3, 4, 5, 9));
}

TEST(AffinityPlan, NotPinned) {
  const auto plan = PlanAffinity(MachineLike("core:4 pu:1"), {}, {kNone}, 3);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->pinned);
  EXPECT_THAT(plan->cpus, testing::IsEmpty());
}

TEST(AffinityPlan, ListAsGiven) {
  const Machine machine = MachineLike("pack:2 [numa(memory=8GB)] core:2 pu:2");
  EXPECT_THAT(Planned(machine, {0}, List({7, 0, 3}), 3), ElementsAre(7, 0, 3));
  EXPECT_THAT(Planned(machine, {}, List({7, 0, 3}), 2), ElementsAre(7, 0)) << "the first";
}

TEST(AffinityPlan, ListOfWhatCannotBeHad) {
  Machine machine = MachineLike("core:8 pu:1");
  machine.cpus.erase(machine.cpus.begin() + 4);
  const auto plan = PlanAffinity(machine, {}, List({9, 0, 8, 4}), 4);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
  EXPECT_EQ(plan.error().message,
            "--pin=9,0,8,4: CPUs 4,8-9 cannot be had: affinity and cpuset leave 0-3,5-7 here");
  EXPECT_THAT(plan.error().fix, testing::HasSubstr("cpuset.cpus"));
  EXPECT_THAT(PlanAffinity(machine, {}, List({4}), 1).error().message,
              testing::HasSubstr("CPU 4 cannot be had"));
}

TEST(AffinityPlan, ListShorterThanTheTeam) {
  const auto plan = PlanAffinity(MachineLike("core:8 pu:1"), {}, List({0, 1, 2}), 4);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
  EXPECT_EQ(plan.error().message, "--pin=0-2: 4 threads want as many CPUs, the list has 3");
  EXPECT_EQ(plan.error().fix, "-t 3, or a longer list");
}

TEST(AffinityPlan, DefaultThreads) {
  Machine machine = MachineLike("pack:2 [numa(memory=8GB)] core:3 pu:2");
  for (const PinMode::Kind kind : {kCores, kNone}) {
    EXPECT_EQ(DefaultThreads(machine, {}, {kind}), 6);
    EXPECT_EQ(DefaultThreads(machine, {1}, {kind}), 3);
    EXPECT_EQ(DefaultThreads(machine, {7}, {kind}), 1) << "a node of memory alone";
  }
  EXPECT_EQ(DefaultThreads(machine, {}, {kThreads}), 12);
  EXPECT_EQ(DefaultThreads(machine, {1}, {kThreads}), 6);
  EXPECT_EQ(DefaultThreads(machine, {1}, List({0, 5, 3, 8})), 4);
  machine.effective_cpus = 2;  // a quota
  EXPECT_EQ(DefaultThreads(machine, {1}, {kCores}), 2);
  EXPECT_EQ(DefaultThreads(machine, {}, {kThreads}), 2);
  EXPECT_EQ(DefaultThreads(machine, {}, List({0, 5, 3, 8})), 2);
}

// CPUs 0 and 1 strong, 2 to 4 weak, with what /sys says about each.
class CapacityOfKinds : public testing::Test {
 protected:
  CapacityOfKinds() {
    for (unsigned i = 0; i < 5; ++i) {
      cpus_.push_back({.os_index = i, .core = i, .efficiency = i < 2 ? 1 : 0});
    }
  }
  void Write(unsigned cpu, const std::string& file, const std::string& text) const {
    sysfs_.Write(fmt::format("devices/system/cpu/cpu{}/{}", cpu, file), text);
  }
  void WriteAll(const std::string& file, const std::vector<std::string>& texts) const {
    for (unsigned i = 0; i < texts.size(); ++i) Write(i, file, texts[i]);
  }
  std::vector<double> Weights() const { return CapacityWeights(cpus_, sysfs_.root()); }

  const TempTree sysfs_;
  std::vector<Cpu> cpus_;
};

TEST_F(CapacityOfKinds, CapacityThenFrequencyThenEqual) {
  EXPECT_THAT(Weights(), ElementsAre(1, 1, 1, 1, 1));
  WriteAll("cpufreq/cpuinfo_max_freq",
           {"5000000\n", "4500000\n", "4000000\n", "4000000\n", "4000000\n"});
  EXPECT_THAT(Weights(),
              ElementsAre(1, DoubleEq(0.9), DoubleEq(0.8), DoubleEq(0.8), DoubleEq(0.8)));
  WriteAll("cpu_capacity", {"1024\n", "1024\n", "512\n", "256\n"});
  EXPECT_THAT(Weights(), ElementsAre(1, DoubleEq(0.9), DoubleEq(0.8), DoubleEq(0.8), DoubleEq(0.8)))
      << "one has no capacity: the two are not mixed";
  Write(4, "cpu_capacity", "0\n");
  EXPECT_THAT(Weights(), testing::Contains(DoubleEq(0.9))) << "nor is none at all one";
  Write(4, "cpu_capacity", "768\n");
  EXPECT_THAT(Weights(), ElementsAre(1, 1, 0.5, 0.25, 0.75));
}

TEST_F(CapacityOfKinds, FastestOfThoseThatTakePart) {
  WriteAll("cpu_capacity", {"1024\n", "800\n", "400\n", "400\n", "400\n"});
  const std::vector<Cpu> some = {cpus_[3], cpus_[1]};
  EXPECT_THAT(CapacityWeights(some, sysfs_.root()), ElementsAre(0.5, 1));
  EXPECT_THAT(CapacityWeights({}, sysfs_.root()), testing::IsEmpty());
}

TEST_F(CapacityOfKinds, OneKindIsEqualWhateverItsFrequencies) {
  WriteAll("cpu_capacity", {"1024\n", "1000\n", "512\n", "512\n", "512\n"});
  EXPECT_THAT(CapacityWeights(std::span(cpus_).first(2), sysfs_.root()), ElementsAre(1, 1));
  for (Cpu& cpu : cpus_) cpu.efficiency = -1;
  EXPECT_THAT(Weights(), Each(1.0));
}

}  // namespace
}  // namespace llmrun
