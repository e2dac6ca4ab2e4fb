// Work that a team does step by step: a step is over when all of its work is done, not when every
// member has come. Each member begins with the part that is its home and then takes from others
// what they have not begun, so that a member whose core is busy with something else (another
// program, an interrupt) holds the team up for at most the piece it was at; one that comes late
// finds the step over and goes on to the next.
//
// All members must go through the same steps with the same plans, in the same order; what was
// written in a step is visible in the later ones. Which member does which piece depends on timing:
// results must not depend on that.
//
// How: pieces are taken by sched/piece_cursor.h, done work is counted by sched/team_progress.h.
//
// Threads: Begin() and counts() are for when no member is inside; a Member belongs to one thread.
// Templates: as in sched/progress.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "sched/cpu_courtesy.h"
#include "sched/piece_cursor.h"
#include "sched/step_plan.h"
#include "sched/team.h"
#include "sched/team_progress.h"

namespace llmrun {

// Of one member in one zone, since the beginning.
struct ZoneCounts {
  uint64_t steps = 0;         // it took part in
  uint64_t helped_units = 0;  // of the homes of others
  uint64_t units = 0;         // of its own home
  int64_t work_ns = 0;
  WaitSite wait;  // for the end of the steps
};

template <typename Platform>
class BasicWorkSteps {
 public:
  // most_spin_ns as in WaitSite.
  BasicWorkSteps(int members, uint32_t most_spin_ns);

  // Before a team goes through steps. `team` must outlive them.
  void Begin(const Team& team);
  // [kMostZones] of one member.
  const std::array<ZoneCounts, kMostZones>& counts(int member) const {
    return own_[static_cast<size_t>(member)].zones;
  }
  // Steps so far.
  uint64_t steps() const { return NextStep() - 1; }
  uint64_t wakes() const { return progress_.wakes(); }

  class Member;

 private:
  struct alignas(kNoSharingBytes) Own {
    typename Platform::Courtesy courtesy;
    uint64_t next_step = 1;
    uint64_t target = 0;                  // of the step it is at, of everybody
    std::vector<uint64_t> group_targets;  // and of each group
    std::array<ZoneCounts, kMostZones> zones;
  };

  // Members that left early, or did not come at all, are behind.
  uint64_t NextStep() const {
    uint64_t next = 1;
    for (int i = 0; i < members_; ++i) {
      next = std::max(next, own_[static_cast<size_t>(i)].next_step);
    }
    return next;
  }

  const std::unique_ptr<BasicPieceCursor<Platform>[]> cursors_;  // [members]
  const std::unique_ptr<Own[]> own_;                             // [members]
  const int members_;
  const Team* team_ = nullptr;
  // Where Begin() found the counts: members that come late begin there too.
  uint64_t first_step_ = 1;
  uint64_t base_ = 0;
  std::vector<uint64_t> group_bases_;
  BasicTeamProgress<Platform> progress_;
};

template <typename Platform>
BasicWorkSteps<Platform>::BasicWorkSteps(int members, uint32_t most_spin_ns)
    : cursors_(std::make_unique<BasicPieceCursor<Platform>[]>(static_cast<size_t>(members))),
      own_(std::make_unique<Own[]>(static_cast<size_t>(members))),
      members_(members),
      progress_(members) {
  for (int i = 0; i < members; ++i) {
    for (ZoneCounts& zone : own_[static_cast<size_t>(i)].zones) zone.wait = WaitSite(most_spin_ns);
  }
}

template <typename Platform>
void BasicWorkSteps<Platform>::Begin(const Team& team) {
  CHECK(team.members() == members_);
  if (team_ != &team || team.n_groups() != progress_.n_groups())
    progress_.SetGroups(team.n_groups());
  team_ = &team;
  first_step_ = NextStep();
  base_ = progress_.Base();
  group_bases_.resize(static_cast<size_t>(progress_.n_groups()));
  for (size_t g = 0; g < group_bases_.size(); ++g) {
    group_bases_[g] = progress_.GroupBase(static_cast<int>(g));
  }
}

template <typename Platform>
class BasicWorkSteps<Platform>::Member {
 public:
  // Requires: `index` works in the team.
  Member(BasicWorkSteps& steps, int index)
      : steps_(steps),
        own_(steps.own_[static_cast<size_t>(index)]),
        index_(index),
        group_(steps.team_->group(index)) {
    own_.next_step = steps.first_step_;
    own_.target = steps.base_;
    own_.group_targets = steps.group_bases_;
  }

  // Calls work(piece) for pieces of homes. Requires: homes of fewer than 2^24 grains.
  template <typename Work>
  void Step(const StepPlan& plan, Work&& work) {
    if (plan.total == 0) return;
    const uint64_t step = own_.next_step++;
    own_.target += static_cast<uint64_t>(plan.total);
    for (size_t g = 0; g < own_.group_targets.size(); ++g) {
      own_.group_targets[g] += plan.group_units[g];
    }
    own_.courtesy.Offer();
    if (Over()) return;
    ZoneCounts& zone = own_.zones[plan.zone];
    ++zone.steps;
    own_.courtesy.Begin();
    zone.units += DoHome(index_, step, plan, work);
    for (const int other : steps_.team_->helped_by(index_)) {
      if (Over()) break;
      zone.helped_units += DoHome(other, step, plan, work);
    }
    zone.work_ns += own_.courtesy.End();
    Report(plan);
    steps_.progress_.Await(group_, own_.target, zone.wait);
  }

 private:
  bool Over() const { return steps_.progress_.Reached(group_, own_.target); }

  // Of the home of this member what nobody has begun. Returns how many units that were.
  template <typename Work>
  uint64_t DoHome(int member, uint64_t step, const StepPlan& plan, Work& work) {
    const int group = steps_.team_->group(member);
    uint64_t units = 0;
    auto& cursor = steps_.cursors_[static_cast<size_t>(member)];
    const Range home = plan.homes[static_cast<size_t>(member)];
    while (const std::optional<Range> piece = cursor.Take(step, home, plan.grain)) {
      if (group != reporting_) Report(plan);
      reporting_ = group;
      work(*piece);
      units += static_cast<uint64_t>(piece->size());
      unreported_ += static_cast<uint64_t>(piece->size());
    }
    return units;
  }
  void Report(const StepPlan& plan) {
    if (unreported_ == 0) return;
    const auto group = static_cast<size_t>(reporting_);
    steps_.progress_.Report(reporting_, unreported_, plan.group_units[group],
                            own_.group_targets[group], own_.target);
    unreported_ = 0;
  }

  BasicWorkSteps& steps_;
  Own& own_;
  const int index_;
  const int group_;
  int reporting_ = 0;  // the group whose units are not reported yet
  uint64_t unreported_ = 0;
};

using WorkSteps = BasicWorkSteps<NativeWaiting>;

}  // namespace llmrun
