// What is planned for a model of 40 GiB on machines we do not own, as text in tests/data/plans: a
// change to any plan is a readable diff. LLMRUN_UPDATE_GOLDEN=1 writes the files anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/units.h"
#include "loader/plan/placement_plan.h"
#include "tests/loader/plan_index.h"

namespace llmrun {
namespace {

struct GoldenMachine {
  const char* name;
  const char* description;  // of hwloc's synthetic topologies, or a file of tests/data/machines
};

constexpr GoldenMachine kMachines[] = {
    {"xeon_2s", "pack:2 [numa(memory=256GB)] l3:1 core:28 pu:2"},
    {"xeon_2s_snc2", "pack:2 die:2 [numa(memory=128GB)] core:14 pu:2"},
    {"xeon_2s_snc4", "pack:2 die:4 [numa(memory=64GB)] core:7 pu:2"},
    {"xeon_4s", "pack:4 [numa(memory=192GB)] l3:1 core:24 pu:2"},
    {"epyc_2s_nps1", "pack:2 [numa(memory=384GB)] l3:8 core:8 pu:2"},
    {"epyc_2s_nps4", "pack:2 die:4 [numa(memory=96GB)] l3:2 core:8 pu:2"},
    {"epyc_2s_small_nodes", "pack:2 die:4 [numa(memory=8GB)] l3:2 core:8 pu:2"},
    {"vm", "pack:1 [numa(memory=24GB)] core:2 pu:1"},
    {"hbm_cxl", "hbm_cxl.xml"},
    {"hybrid", "hybrid.xml"},
    {"container", "container.xml"},
};

Machine GoldenMachineOf(const std::string& description) {
  if (description.ends_with(".xml")) {
    return MachineFromXml(LLMRUN_SOURCE_DIR "/tests/data/machines/" + description).value();
  }
  Machine machine = SyntheticMachine(description).value();
  for (NumaNode& node : machine.nodes) {
    node.pool_1g = {.total_pages = 8, .free_pages = 8};
    node.pool_2m = {.total_pages = 8192, .free_pages = 8192};
  }
  return machine;
}

TensorIndex FortyGib() {
  PlanFile file{.file_bytes = 0, .tensors = {}};
  for (int layer = 0; layer < 80; ++layer) {
    file.tensors.push_back(
        {fmt::format("blk.{}.w.weight", layer), file.file_bytes, kGiB / 2, {8192, 16384}});
    file.file_bytes += kGiB / 2;
  }
  return MakeIndex({file});
}

std::string PlanText(const Result<PlacementPlan>& plan) {
  if (!plan) return fmt::format("  error {}\n", plan.error().OneLine());
  std::string text = fmt::format("  loader {}\n", NameOf(plan->loader));
  if (!plan->numa_rule.empty()) {
    text += fmt::format("  {}: {}\n", NameOf(plan->numa), plan->numa_rule);
  }
  for (const ArenaPlan& arena : plan->arenas) {
    text += fmt::format("  {} on {}:", FormatBytes(arena.bytes),
                        arena.nodes.empty() ? "any node" : NameOf(arena.nodes));
    for (const PageTile& tile : arena.tiles) {
      text += fmt::format(" {} x {}", NameOf(tile.kind), tile.bytes / PageBytes(tile.kind));
    }
    text += "\n";
  }
  for (const Fallback& fallback : plan->fallbacks) text += "  " + fallback.OneLine() + "\n";
  return text;
}

std::string PlansOf(const GoldenMachine& wanted) {
  const Machine machine = GoldenMachineOf(wanted.description);
  const TensorIndex index = FortyGib();
  std::string text = fmt::format("{}: {}\n", wanted.name, wanted.description);
  const NumaPolicy policies[] = {{},
                                 BindTo(machine.nodes.back().os_index),
                                 {.mode = NumaMode::kInterleave},
                                 {.mode = NumaMode::kAuto},
                                 {.mode = NumaMode::kShard},
                                 {.mode = NumaMode::kMirror}};
  for (const NumaPolicy& numa : policies) {
    for (const HugePages pages : {HugePages::kAuto, HugePages::k1G}) {
      text += fmt::format("\n--numa={} --hugepages={}\n", NameOf(numa), NameOf(pages));
      text += PlanText(PlanPlacement(
          index, machine, {.hugepages = pages, .policy = HugePagesPolicy::kTry, .numa = numa}, {}));
    }
    text += fmt::format("\n--numa={} --hugepages=2M --hugepages-policy=require\n", NameOf(numa));
    text += PlanText(PlanPlacement(
        index, machine,
        {.hugepages = HugePages::k2M, .policy = HugePagesPolicy::kRequire, .numa = numa}, {}));
  }
  return text;
}

class GoldenPlans : public testing::TestWithParam<GoldenMachine> {};

TEST_P(GoldenPlans, AreThoseInTheTree) {
  const std::string path =
      fmt::format("{}/tests/data/plans/{}.txt", LLMRUN_SOURCE_DIR, GetParam().name);
  const std::string text = PlansOf(GetParam());
  if (std::getenv("LLMRUN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::stringstream golden;
  golden << std::ifstream(path).rdbuf();
  EXPECT_EQ(text, golden.str()) << "LLMRUN_UPDATE_GOLDEN=1 takes the new plan, for git to show";
}

INSTANTIATE_TEST_SUITE_P(Machines, GoldenPlans, testing::ValuesIn(kMachines),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace llmrun
