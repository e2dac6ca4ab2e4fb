// Work that a team does step by step: a step is over when all of its work is done, not when every
// member has come. Each member begins with the part that is its home and then takes from others
// what they have not begun, so that a member whose core is busy with something else (another
// program, an interrupt) holds the team up for at most the piece it was at; one that comes late
// finds the step over and goes on to the next.
//
// All members must go through the same steps with the same sizes, in the same order; what was
// written in a step is visible in the later ones. Which member does which piece depends on timing:
// results must not depend on that.
//
// How: each member's home has a cursor, stamped with the number of the step, so that nothing has to
// be reset. Pieces are a third of what is left of a home, down to one unit (guided self-scheduling:
// Polychronopoulos and Kuck 1987). Whoever reports the last of the work advances an epoch.
//
// Threads: WorkSteps is Thread-safe, each Member belongs to one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sched/cpu_courtesy.h"
#include "sched/epoch.h"
#include "sched/partition.h"

namespace llmrun {

class WorkSteps {
 public:
  // `nodes`: [members] the NUMA node of each, whose members are helped first. spin_ns as in
  // Epoch::AwaitChange.
  WorkSteps(std::vector<std::optional<unsigned>> nodes, uint32_t spin_ns);

  // How many steps are over: the number of the next. To be asked when no member is in a step.
  uint64_t count() const { return count_.load(std::memory_order_acquire); }

  class Member;

 private:
  // Units of homes in a step, and steps.
  static constexpr int kUnitBits = 24;
  static constexpr int kMostHelped = 8;  // members looked at for work, at most
  struct alignas(kNoSharingBytes) Cursor {
    std::atomic<uint64_t> at{0};  // step << kUnitBits | next unit
  };

  struct alignas(kNoSharingBytes) Own {
    CpuCourtesy courtesy;
  };

  bool IsCurrent(uint64_t step) const { return epoch_.Load() == static_cast<uint32_t>(step); }
  // A piece of this home that nobody has taken in this step.
  bool Take(int member, uint64_t step, Range home, int64_t unit, Range* piece);
  void Report(uint64_t step, int64_t done, int64_t total);

  const std::vector<std::optional<unsigned>> nodes_;
  const uint32_t spin_ns_;
  const std::unique_ptr<Cursor[]> cursors_;                // [members]
  const std::unique_ptr<Own[]> own_;                       // [members]
  alignas(kNoSharingBytes) std::atomic<int64_t> done_{0};  // of the current step
  std::atomic<uint64_t> count_{0};
  Epoch epoch_;  // the low bits of count_
};

class WorkSteps::Member {
 public:
  // `first`: count() as it was before any member began.
  Member(WorkSteps& steps, int index, uint64_t first)
      : steps_(steps),
        courtesy_(steps.own_[static_cast<size_t>(index)].courtesy),
        index_(index),
        next_(first) {}

  // `total` is the sum of sizes of all homes; home(member) gives the part of [0, total) that is a
  // member's; homes do not overlap. Calls work(piece) for pieces of homes, cut at multiples of
  // `unit` from where a home begins. Nothing at all happens in a step of nothing.
  // Requires: unit >= 1, homes of fewer than 2^24 units.
  template <typename Home, typename Work>
  void Step(int64_t total, int64_t unit, Home&& home, Work&& work) {
    if (total == 0) return;
    const uint64_t step = next_++;
    courtesy_.Offer();
    if (!steps_.IsCurrent(step)) return;
    int64_t done = 0;
    courtesy_.Begin();
    const auto help = [&](int member) {
      const Range range = home(member);
      for (Range piece; steps_.Take(member, step, range, unit, &piece);) {
        work(piece);
        done += piece.size();
      }
    };
    help(index_);
    HelpOthers(step, help);
    courtesy_.End();
    steps_.Report(step, done, total);
  }
  // The same for homes that follow from the number of members alone.
  template <typename Work>
  void Step(int64_t total, int64_t unit, Work&& work) {
    const int members = static_cast<int>(steps_.nodes_.size());
    Step(
        total, unit, [&](int member) { return StaticRange(total, members, member, unit); }, work);
  }
  // Done by one member: the last, or one that helps it.
  template <typename Work>
  void Once(Work&& work) {
    Step(1, 1, [&](Range) { work(); });
  }

 private:
  // Those of the same node first.
  template <typename Help>
  void HelpOthers(uint64_t step, const Help& help) const {
    const int members = static_cast<int>(steps_.nodes_.size());
    const auto node = [&](int member) { return steps_.nodes_[static_cast<size_t>(member)]; };
    int helped = 0;
    for (const bool same_node : {true, false}) {
      for (int i = 1; i < members && helped < kMostHelped; ++i) {
        const int other = (index_ + i) % members;
        if ((node(other) == node(index_)) != same_node) continue;
        if (!steps_.IsCurrent(step)) return;
        help(other);
        ++helped;
      }
    }
  }

  WorkSteps& steps_;
  CpuCourtesy& courtesy_;
  const int index_;
  uint64_t next_;
};

}  // namespace llmrun
