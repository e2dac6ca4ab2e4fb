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
// A step may have several stages: a member comes to the next one when the work of this one has been
// begun, not when it is done, and waits inside the work for what that piece needs (AwaitInStep).
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

#include "base/check.h"
#include "sched/cpu_courtesy.h"
#include "sched/piece_cursor.h"
#include "sched/step_plan.h"
#include "sched/step_position.h"
#include "sched/team.h"
#include "sched/team_progress.h"
#include "sched/zone_counts.h"

namespace llmrun {

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
    StepPosition at;
    std::array<ZoneCounts, kMostZones> zones;
  };

  // Members that left early, or did not come at all, are behind.
  uint64_t NextStep() const {
    uint64_t next = 1;
    for (int i = 0; i < members_; ++i) {
      next = std::max(next, own_[static_cast<size_t>(i)].at.next_step);
    }
    return next;
  }

  const std::unique_ptr<BasicPieceCursor<Platform>[]> cursors_;  // [members]
  const std::unique_ptr<Own[]> own_;                             // [members]
  const int members_;
  const Team* team_ = nullptr;
  StepPosition begin_;  // as Begin() found it: members that come late begin there too
  BasicTeamProgress<Platform> progress_;
};

template <typename Platform>
BasicWorkSteps<Platform>::BasicWorkSteps(int members, uint32_t most_spin_ns)
    : cursors_(std::make_unique<BasicPieceCursor<Platform>[]>(static_cast<size_t>(members))),
      own_(std::make_unique<Own[]>(static_cast<size_t>(members))),
      members_(members),
      progress_(members) {
  for (int i = 0; i < members; ++i) {
    for (ZoneCounts& zone : own_[static_cast<size_t>(i)].zones) {
      zone.wait = zone.wait_in_step = WaitSite(most_spin_ns);
    }
  }
}

template <typename Platform>
void BasicWorkSteps<Platform>::Begin(const Team& team) {
  CHECK(team.members() == members_);
  if (team_ != &team || team.n_groups() != progress_.n_groups())
    progress_.SetGroups(team.n_groups());
  team_ = &team;
  begin_ = StepPosition(NextStep(), progress_.Base(), progress_.n_groups());
  for (size_t g = 0; g < begin_.groups.size(); ++g) {
    begin_.groups[g].target = progress_.GroupBase(static_cast<int>(g));
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
    own_.at = steps.begin_;
  }

  // Calls work(piece) for pieces of homes.
  template <typename Work>
  void Step(const StepPlan& plan, Work&& work) {
    StepInStages(Stage<Work&>{plan, work});
  }
  // The same in stages, one after the other.
  template <typename... Works>
  void StepInStages(Stage<Works>... stages) {
    static_assert(sizeof...(stages) <= kMostStages);
    if ((stages.plan.total + ...) == 0) return;
    uint64_t stamp = kMostStages * own_.at.next_step;
    own_.at.Advance(stages.plan...);
    own_.courtesy.Offer();
    if (Over()) return;
    (DoStage(stamp++, stages), ...);
    Report();
    steps_.progress_.Await(group_, own_.at.target, zone_->wait);
  }
  // Inside the work of a stage: until what it needs of an earlier stage of this step is done, of
  // which `done` is the count. Whoever does it must not wait for later stages.
  void AwaitInStep(BasicProgress<Platform>& done, uint64_t target) {
    if (done.Reached(target)) return;
    zone_->work_ns += own_.courtesy.End();
    done.Await(target, zone_->wait_in_step);
    own_.courtesy.Begin();
  }

 private:
  static constexpr uint64_t kMostStages = 4;

  bool Over() const { return steps_.progress_.Reached(group_, own_.at.target); }

  // Whom it helps is the same in all stages, so that who begins a piece of a home in one of them
  // knows that those of the earlier ones have been begun.
  template <typename Work>
  void DoStage(uint64_t stamp, Stage<Work>& stage) {
    if (stage.plan.total == 0) return;
    zone_ = &own_.zones[stage.plan.zone];
    ++zone_->steps;
    own_.courtesy.Begin();
    zone_->units += DoHome(index_, stamp, stage);
    for (const int other : steps_.team_->helped_by(index_)) {
      if (Over()) break;
      zone_->helped_units += DoHome(other, stamp, stage);
    }
    zone_->work_ns += own_.courtesy.End();
  }
  // Of the home of this member what nobody has begun. Returns how many units that were.
  template <typename Work>
  uint64_t DoHome(int member, uint64_t stamp, Stage<Work>& stage) {
    const int group = steps_.team_->group(member);
    uint64_t units = 0;
    auto& cursor = steps_.cursors_[static_cast<size_t>(member)];
    const Range home = stage.plan.homes[static_cast<size_t>(member)];
    while (const std::optional<Range> piece = cursor.Take(stamp, home, stage.plan.grain)) {
      if (group != reporting_) Report();
      reporting_ = group;
      stage.work(*piece);
      units += static_cast<uint64_t>(piece->size());
      unreported_ += static_cast<uint64_t>(piece->size());
    }
    return units;
  }
  void Report() {
    if (unreported_ == 0) return;
    const StepPosition::Group& group = own_.at.groups[static_cast<size_t>(reporting_)];
    steps_.progress_.Report(reporting_, unreported_, group.units, group.target, own_.at.target);
    unreported_ = 0;
  }

  BasicWorkSteps& steps_;
  Own& own_;
  const int index_;
  const int group_;
  ZoneCounts* zone_ = nullptr;  // of the stage it is at
  int reporting_ = 0;           // the group whose units are not reported yet
  uint64_t unreported_ = 0;
};

using WorkSteps = BasicWorkSteps<NativeWaiting>;

}  // namespace llmrun
