// The latches of a load: one a group of tensors, opened when the last read that touches the group
// has landed, or all at once when the load fails.
//
// Threads: Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/stopwatch.h"
#include "loader/index/tensor_index.h"
#include "sched/latch.h"

namespace llmrun {

class GroupGate {
 public:
  // `reads_of_group`: how many reads touch each group; groups without any are open at once.
  // `since_start` is what first_layer_seconds() counts from.
  GroupGate(std::span<const uint32_t> reads_of_group, Stopwatch since_start);

  // A read that touches these groups is in place. Everything the caller wrote before is visible to
  // whoever finds a group open.
  void Landed(std::span<const GroupId> groups);
  // Opens everything; each wait returns this error from now on. The first error stays.
  void Fail(Error error);

  bool Ready(GroupId group) const;
  Status Wait(GroupId group) const;
  // When groups 0 and 1 (the first layer) were both there; 0 until then.
  double first_layer_seconds() const;

 private:
  void Open(GroupId group);

  struct Group {
    std::atomic<uint32_t> reads_left{0};
    Latch latch;
  };
  const size_t count_;
  const std::unique_ptr<Group[]> groups_;
  const Stopwatch since_start_;
  std::atomic<int> first_left_;
  std::atomic<double> first_layer_seconds_{0};

  std::atomic<bool> failing_{false};  // somebody is writing error_
  std::atomic<bool> failed_{false};   // error_ is there
  std::optional<Error> error_;
};

}  // namespace llmrun
