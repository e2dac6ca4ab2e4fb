#include "memory/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <set>
#include <thread>

#include "base/units.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAreArray;

Machine Synthetic(const std::string& description) {
  const auto machine = SyntheticMachine(description);
  EXPECT_TRUE(machine) << machine.error().OneLine();
  return machine.value_or(Machine());
}

TEST(Machine, TwoPackagesWithSiblings) {
  const Machine machine = Synthetic("pack:2 numa:1(memory=64GB) core:4 pu:2");
  ASSERT_EQ(machine.cpus.size(), 16u);
  EXPECT_EQ(machine.effective_cpus, 16);
  ASSERT_EQ(machine.nodes.size(), 2u);
  EXPECT_EQ(machine.nodes[1].os_index, 1u);
  EXPECT_EQ(machine.nodes[0].total_bytes, 64'000'000'000u);
  EXPECT_EQ(machine.total_bytes, 128'000'000'000u);
  EXPECT_EQ(machine.available_bytes, machine.total_bytes);
  EXPECT_TRUE(machine.supports_1g);
  EXPECT_EQ(machine.nodes[0].pool_1g.total_pages, 0u);
  for (const Cpu& cpu : machine.cpus) {
    EXPECT_EQ(cpu.package, cpu.os_index / 8);
    EXPECT_EQ(cpu.node, cpu.os_index / 8);
    EXPECT_EQ(cpu.core, cpu.os_index / 2);
  }
}

TEST(Machine, SeveralNodesInAPackage) {
  const Machine machine = Synthetic("pack:2 numa:2 core:3 pu:1");
  ASSERT_EQ(machine.nodes.size(), 4u);
  ASSERT_EQ(machine.cpus.size(), 12u);
  for (const Cpu& cpu : machine.cpus) {
    EXPECT_EQ(cpu.node, cpu.os_index / 3);
    EXPECT_EQ(cpu.package, cpu.os_index / 6);
  }
}

// Xeon firmware numbers the second siblings after all cores; EPYC boards interleave packages.
TEST(Machine, NumberingThatIsNotLinear) {
  const Machine machine = Synthetic("pack:1 core:4 pu:2(indexes=0,4,1,5,2,6,3,7)");
  EXPECT_THAT(PinOrder(machine), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  const Machine interleaved = Synthetic("pack:2 numa:1 core:2 pu:1(indexes=0,2,1,3)");
  EXPECT_THAT(PinOrder(interleaved), ElementsAre(0, 2, 1, 3));
  EXPECT_EQ(interleaved.cpus[1].os_index, 2u);
  EXPECT_EQ(interleaved.cpus[1].node, 0u);
}

TEST(Machine, PinOrderFillsCoresBeforeSiblings) {
  EXPECT_THAT(PinOrder(Synthetic("pack:2 numa:1 core:2 pu:2")),
              ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
  EXPECT_THAT(PinOrder(Synthetic("core:1 pu:4")), ElementsAre(0, 1, 2, 3));
}

TEST(Machine, PinOrderOfACpusetWithHalvesOfCores) {
  Machine machine;
  for (const auto& [os_index, core] : {std::pair(3U, 1U), {4, 2}, {5, 2}, {9, 4}}) {
    machine.cpus.push_back({.os_index = os_index, .core = core});
  }
  EXPECT_THAT(PinOrder(machine), ElementsAre(3, 4, 9, 5));
  EXPECT_THAT(PinOrder(Machine()), ElementsAre());
}

std::vector<unsigned> NumbersOf(const std::vector<Cpu>& cpus) {
  std::vector<unsigned> numbers;
  for (const Cpu& cpu : cpus) numbers.push_back(cpu.os_index);
  return numbers;
}

TEST(Machine, ThreadsComeFromEachNodeInTurn) {
  const Machine machine = Synthetic("pack:2 [numa(memory=8GB)] core:2 pu:2");  // 0-3 and 4-7
  const auto cpus = [&](const NodeSet& nodes, size_t threads) {
    return NumbersOf(CpusForThreads(machine, nodes, threads));
  };
  EXPECT_THAT(cpus({}, 3), ElementsAre(0, 2, 4)) << "cores in their order";
  EXPECT_THAT(cpus({0, 1}, 2), ElementsAre(0, 4));
  EXPECT_THAT(cpus({0, 1}, 3), ElementsAre(0, 2, 4));
  EXPECT_THAT(cpus({0, 1}, 4), ElementsAre(0, 2, 4, 6)) << "no sibling before the last core";
  EXPECT_THAT(cpus({0, 1}, 8), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(cpus({1}, 1), ElementsAre(4));
  EXPECT_THAT(cpus({1}, 4), ElementsAre(4, 6, 5, 7));
  EXPECT_THAT(cpus({1}, 6), ElementsAre(0, 2, 4, 6, 5, 7)) << "the others come last, then by node";
  EXPECT_THAT(cpus({0, 1}, 100), testing::SizeIs(8));
  EXPECT_EQ(CoreCount(machine, {}), 4u);
  EXPECT_EQ(CoreCount(machine, {1}), 2u);
  EXPECT_EQ(CoreCount(machine, {7}), 0u);
}

TEST(Machine, LargeMachines) {
  const Machine machine = Synthetic("pack:8 numa:4 core:16 pu:2");
  EXPECT_EQ(machine.nodes.size(), 32u);
  EXPECT_EQ(machine.cpus.size(), 1024u);
  const std::vector<unsigned> order = PinOrder(machine);
  EXPECT_EQ(std::set<unsigned>(order.begin(), order.end()).size(), 1024u);
}

TEST(Machine, L3Domains) {
  // EPYC: eight cores share an L3, four L3 a node.
  const Machine machine = Synthetic("pack:2 numa:1 l3:4 core:8 pu:2");
  for (const Cpu& cpu : machine.cpus) EXPECT_EQ(cpu.l3, cpu.os_index / 16);
  for (const Cpu& cpu : Synthetic("pack:3 core:2 pu:1").cpus) EXPECT_EQ(cpu.l3, cpu.package);
}

// Memory that hangs on the whole machine is local to every CPU, and nearest to none.
TEST(Machine, NodeWithoutCpus) {
  const Machine machine = Synthetic("[numa(memory=256GB)] pack:2 [numa(memory=64GB)] core:2 pu:1");
  ASSERT_EQ(machine.nodes.size(), 3U);
  std::vector<size_t> cpus_of_node;
  for (const NumaNode& node : machine.nodes) {
    cpus_of_node.push_back(CpusOf(machine, node.os_index).size());
    const bool has_cpus = cpus_of_node.back() > 0;
    EXPECT_EQ(node.total_bytes, has_cpus ? 64'000'000'000U : 256'000'000'000U);
  }
  EXPECT_THAT(cpus_of_node, testing::UnorderedElementsAre(2, 2, 0));
}

Machine Recorded(const std::string& name) {
  const auto machine = MachineFromXml(LLMRUN_SOURCE_DIR "/tests/data/machines/" + name + ".xml");
  EXPECT_TRUE(machine) << machine.error().OneLine();
  return machine.value_or(Machine());
}

TEST(RecordedMachine, KindsOfMemoryAndLatencies) {
  const Machine machine = Recorded("hbm_cxl");
  ASSERT_EQ(machine.nodes.size(), 5U);
  std::vector<unsigned> numbers;
  std::vector<std::string> kinds;
  for (const NumaNode& node : machine.nodes) {
    numbers.push_back(node.os_index);
    kinds.push_back(node.kind);
  }
  EXPECT_THAT(numbers, ElementsAre(0, 1, 2, 3, 7));
  EXPECT_THAT(kinds, ElementsAre("DRAM", "DRAM", "HBM", "HBM", "CXL"));
  EXPECT_THAT(machine.nodes[0].distances, ElementsAre(10, 21, 13, 21, 26));
  EXPECT_THAT(machine.nodes[3].distances, ElementsAre(21, 13, 21, 10, 26));
  EXPECT_THAT(machine.nodes[4].distances, ElementsAre(26, 26, 26, 26, 10));
  EXPECT_EQ(machine.nodes[1].pool_2m.free_pages, 512U);
  EXPECT_EQ(machine.nodes[1].pool_1g.total_pages, 40U);
  EXPECT_EQ(machine.nodes[0].pool_1g.total_pages, 0U);
  ASSERT_EQ(machine.cpus.size(), 16U);
  for (const Cpu& cpu : machine.cpus) {
    EXPECT_EQ(cpu.node, cpu.os_index / 8);  // the DRAM of its package
    EXPECT_EQ(cpu.l3, cpu.os_index / 4);
    EXPECT_EQ(cpu.efficiency, -1);
  }
  EXPECT_THAT(CpusOf(machine, 7), ElementsAre());
}

TEST(RecordedMachine, ContainerSeesWhatItMayUse) {
  const Machine machine = Recorded("container");
  ASSERT_EQ(machine.nodes.size(), 2U);
  EXPECT_EQ(machine.nodes[0].os_index, 1U);
  EXPECT_EQ(machine.nodes[1].os_index, 3U);
  EXPECT_EQ(machine.total_bytes, 192'000'000'000U);
  EXPECT_THAT(machine.nodes[0].distances, ElementsAre(10, 13));
  EXPECT_THAT(CpusOf(machine, 1), ElementsAre(9, 10, 11));
  EXPECT_EQ(machine.effective_cpus, 3);
  EXPECT_THAT(PinOrder(machine), ElementsAre(9, 10, 11));
}

TEST(RecordedMachine, HybridCores) {
  const Machine machine = Recorded("hybrid");
  EXPECT_EQ(machine.cpu_model, "two strong cores and four weak ones");
  std::vector<int> efficiencies;
  for (const Cpu& cpu : machine.cpus) efficiencies.push_back(cpu.efficiency);
  EXPECT_THAT(efficiencies, ElementsAre(1, 1, 0, 0, 0, 0));
}

TEST(RecordedMachine, RefusesWhatIsNone) {
  const auto missing = MachineFromXml("/nonexistent/machine.xml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNoInput);
  const auto wrong = MachineFromXml(LLMRUN_SOURCE_DIR "/CMakePresets.json");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kBadData);
  EXPECT_THAT(wrong.error().message, testing::HasSubstr("CMakePresets.json"));
}

TEST(Machine, BadDescriptions) {
  for (const char* description : {"", "pack", "pack:0", "cheese:3", "core:-1 pu:2"}) {
    const auto machine = SyntheticMachine(description);
    ASSERT_FALSE(machine) << description;
    EXPECT_EQ(machine.error().code, ErrorCode::kUsage);
  }
}

std::vector<unsigned> AffinityOfThisThread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<unsigned> cpus;
  for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cpus.push_back(i);
  }
  return cpus;
}

TEST(Machine, TheOneAtHand) {
  const auto machine = DetectMachine();
  ASSERT_TRUE(machine) << machine.error().OneLine();
  std::vector<unsigned> cpus;
  for (const Cpu& cpu : machine->cpus) cpus.push_back(cpu.os_index);
  EXPECT_THAT(cpus, UnorderedElementsAreArray(AffinityOfThisThread()));
  EXPECT_THAT(PinOrder(*machine), UnorderedElementsAreArray(cpus));
  EXPECT_GE(machine->effective_cpus, 1);
  EXPECT_LE(machine->effective_cpus, static_cast<int>(cpus.size()));
  EXPECT_FALSE(machine->cpu_model.empty());
  EXPECT_GT(machine->total_bytes, 64 * kMiB);
  EXPECT_LE(machine->available_bytes, machine->total_bytes);
  std::set<unsigned> nodes;
  for (const NumaNode& node : machine->nodes) {
    nodes.insert(node.os_index);
    EXPECT_LE(node.pool_2m.free_pages, node.pool_2m.total_pages);
    EXPECT_LE(node.free_bytes, machine->total_bytes);
  }
  EXPECT_EQ(nodes.size(), machine->nodes.size());
  for (const Cpu& cpu : machine->cpus) EXPECT_TRUE(nodes.contains(cpu.node));
}

TEST(Machine, HonoursAffinity) {
  const std::vector<unsigned> cpus = AffinityOfThisThread();
  std::thread([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus.back(), &set);
    ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    const auto machine = DetectMachine();
    ASSERT_TRUE(machine) << machine.error().OneLine();
    ASSERT_EQ(machine->cpus.size(), 1u);
    EXPECT_EQ(machine->cpus[0].os_index, cpus.back());
    EXPECT_EQ(machine->effective_cpus, 1);
  }).join();
}

}  // namespace
}  // namespace llmrun
