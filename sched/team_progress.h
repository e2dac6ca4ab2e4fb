// Units of work that a team reports, and the wait until all of a step are done. Members are in
// groups of neighbours: each group counts on a line of its own, the last of a group passes its sum
// on to the others' (a leader exchange), and members wait on their group's line, so that few cores
// ever touch the same one. A team of one group counts and waits on one line.
//
// Counts are totals over all steps: nothing is reset between two of them.
//
// Threads: Report() and Await() are Thread-safe. SetGroups() and Base() are for when no member is
// in a step. What was written before Report() is visible after the Await() of that step.
// Templates: as in sched/progress.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "sched/progress.h"

namespace llmrun {

struct TeamProgressOrders : ProgressOrders {
  static constexpr std::memory_order kGroupAdd = std::memory_order_acq_rel;
};

template <typename Platform, typename Orders = TeamProgressOrders>
class BasicTeamProgress {
 public:
  explicit BasicTeamProgress(int most_groups)
      : groups_(std::make_unique<Group[]>(Size(most_groups))) {}

  // Requires: 1 <= n <= most_groups.
  void SetGroups(int n) {
    n_groups_ = n;
    // A group that is new, or again, begins where the team is.
    for (int g = 0; g < n; ++g) {
      if (!groups_[Size(g)].released.Reached(all_.Load()))
        groups_[Size(g)].released.Raise(all_.Load());
    }
  }
  int n_groups() const { return n_groups_; }

  // Where the counts stand: of everybody, and of one group.
  uint64_t Base() const { return all_.Load(); }
  uint64_t GroupBase(int group) const {
    return groups_[Size(group)].done.load(std::memory_order_relaxed);
  }

  // Adds units that are work of this group. The group's step has `group_units` and ends at
  // `group_target`, the team's at `target`: counts as Base() and GroupBase() give them.
  void Report(int group, uint64_t units, uint64_t group_units, uint64_t group_target,
              uint64_t target) {
    if (n_groups_ == 1) {
      all_.Add(units, target);
      return;
    }
    auto& done = groups_[Size(group)].done;
    if (done.fetch_add(units, Orders::kGroupAdd) + units != group_target) return;
    if (all_.Add(group_units, target) != target) return;
    for (int g = 0; g < n_groups_; ++g) groups_[Size(g)].released.Raise(target);
  }
  // Whether the step that ends at `target` is over, as far as this group knows.
  bool Reached(int group, uint64_t target) const { return Line(group).Reached(target); }
  void Await(int group, uint64_t target, WaitSite& site) { Line(group).Await(target, site); }

  uint64_t wakes() const {
    uint64_t sum = all_.wakes();
    for (int g = 0; g < n_groups_; ++g) sum += groups_[Size(g)].released.wakes();
    return sum;
  }

 private:
  using Line_ = BasicProgress<Platform, Orders>;
  struct alignas(kNoSharingBytes) Group {
    typename Platform::template Atomic<uint64_t> done{0};
    Line_ released;
  };
  static constexpr size_t Size(int n) { return static_cast<size_t>(n); }
  const Line_& Line(int group) const {
    return n_groups_ == 1 ? all_ : groups_[Size(group)].released;
  }
  Line_& Line(int group) { return n_groups_ == 1 ? all_ : groups_[Size(group)].released; }

  const std::unique_ptr<Group[]> groups_;
  int n_groups_ = 1;
  Line_ all_;
};

using TeamProgress = BasicTeamProgress<NativeWaiting>;

}  // namespace llmrun
