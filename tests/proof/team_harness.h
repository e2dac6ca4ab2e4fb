// Members that go through steps (sched/team_progress.h, work_steps.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sched/progress.h"
#include "sched/team.h"
#include "sched/team_progress.h"
#include "sched/work_steps.h"
#include "tests/proof/simulate.h"

namespace llmrun::proof {

// Three members, two of them in group 0 where there are two groups: barriers, of which each one
// orders what its members wrote.
template <typename Team, int groups>
struct Barriers : Harness<Barriers<Team, groups>, 3> {
  static constexpr uint64_t kSteps = 2;
  const std::unique_ptr<Team> team = std::make_unique<Team>(groups);
  Data data[3];
  Barriers() { team->SetGroups(groups); }

  void thread(unsigned index) {
    WaitSite site;
    const int group = groups == 2 && index == 2 ? 1 : 0;
    const uint64_t units = groups == 1 ? 3 : group == 0 ? 2 : 1;
    for (uint64_t step = 1; step <= kSteps; ++step) {
      if (step > 1) {  // what another one wrote before the last barrier
        const Data& other = data[(index + 1) % 3];
        Expect(other.Get() == static_cast<int>(step) - 1);
        Pass(group, units, 2 * step - 2, site);
      }
      data[index].Set(static_cast<int>(step));
      Pass(group, units, 2 * step - 1, site);
    }
  }
  void Pass(int group, uint64_t units, uint64_t barrier, WaitSite& site) {
    team->Report(group, 1, units, barrier * units, barrier * 3);
    team->Await(group, barrier * 3, site);
  }
};

// A team with units dealt out to it: made once, outside of all simulations.
template <int members, int groups>
struct DealtTeam {
  const Team team{Nodes(), std::vector<double>(members, 1.0)};
  const StepPlan plan;
  explicit DealtTeam(int64_t units) : plan(team.Deal(0, units, 1)) {}
  static std::vector<std::optional<unsigned>> Nodes() {
    std::vector<std::optional<unsigned>> nodes;
    for (int i = 0; i < members; ++i) nodes.emplace_back(static_cast<unsigned>(i % groups));
    return nodes;
  }
};

// Steps of work: every piece is done once, by anybody, and reads what the step before wrote.
template <int members, int groups>
struct Steps : Harness<Steps<members, groups>, members> {
  static constexpr int kSteps = 3;
  static constexpr int kUnits = 3;
  static inline const DealtTeam<members, groups> shared{kUnits};

  BasicWorkSteps<RelacyWaiting> steps{members, 0};
  std::array<Data, kUnits> written;
  Steps() { steps.Begin(shared.team); }

  void thread(unsigned index) {
    typename BasicWorkSteps<RelacyWaiting>::Member member(steps, static_cast<int>(index));
    for (int step = 0; step < kSteps; ++step) {
      member.Step(shared.plan, [&](Range piece) {
        for (int64_t at = piece.begin; at < piece.end; ++at) {
          // Another's in each second step, so that steps cross.
          Data& data = written[static_cast<size_t>((at + step) % kUnits)];
          Expect(data.Get() == step);
          data.Set(step + 1);
        }
      });
    }
  }
  void after() {
    for (const Data& data : written) Expect(data.Get() == kSteps);
  }
};

// Steps of two stages: each piece of the second reads what two pieces of the first wrote.
template <int members, int groups, bool waits = true>
struct Stages : Harness<Stages<members, groups, waits>, members> {
  static constexpr int kSteps = 2;
  static constexpr int kUnits = 2;
  static inline const DealtTeam<members, groups> shared{kUnits};

  BasicWorkSteps<RelacyWaiting> steps{members, 0};
  BasicProgress<RelacyWaiting> made;
  std::array<Data, kUnits> first;
  std::array<Data, kUnits> second;
  Stages() { steps.Begin(shared.team); }

  void thread(unsigned index) {
    typename BasicWorkSteps<RelacyWaiting>::Member member(steps, static_cast<int>(index));
    for (int step = 1; step <= kSteps; ++step) {
      const auto target = static_cast<uint64_t>(step * kUnits);
      const auto make = [&](Range piece) {
        for (int64_t at = piece.begin; at < piece.end; ++at) {
          first[static_cast<size_t>(at)].Set(step);
        }
        made.Add(static_cast<uint64_t>(piece.size()), target);
      };
      const auto use = [&](Range piece) {
        if (waits) member.AwaitInStep(made, target);
        for (const Data& data : first) Expect(data.Get() == step);
        for (int64_t at = piece.begin; at < piece.end; ++at) {
          Data& data = second[static_cast<size_t>((at + step) % kUnits)];
          Expect(data.Get() == step - 1);
          data.Set(step);
        }
      };
      member.StepInStages(Stage{shared.plan, make}, Stage{shared.plan, use});
    }
  }
};

}  // namespace llmrun::proof
