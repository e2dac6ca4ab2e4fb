// The latches of a load: one a group of tensors, opened when the last step that the group waits for
// is done (a read that touches it has landed, one of its tensors is packed), or all at once when
// the load fails.
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
  // `steps_of_group`: how many each group waits for; groups without any are open at once.
  // `since_start` is what first_layer_seconds() counts from.
  GroupGate(std::span<const uint32_t> steps_of_group, Stopwatch since_start);

  // A step of each of these groups is done. Everything the caller wrote before is visible to
  // whoever finds a group open.
  void Done(std::span<const GroupId> groups);
  // Opens everything; each wait returns this error from now on. The first error stays.
  void Fail(Error error);

  bool Ready(GroupId group) const;
  Status Wait(GroupId group) const;
  // When groups 0 and 1 (the first layer) were both there; 0 until then.
  double first_layer_seconds() const;

 private:
  void Open(GroupId group);

  struct Group {
    std::atomic<uint32_t> steps_left{0};
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
