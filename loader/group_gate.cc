#include "loader/group_gate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

// Groups that the first layer needs: what comes before the layers, and layer 0.
constexpr int kFirstGroups = 2;

}  // namespace

GroupGate::GroupGate(std::span<const uint32_t> steps_of_group, Stopwatch since_start)
    : count_(steps_of_group.size()),
      groups_(std::make_unique<Group[]>(count_)),
      since_start_(since_start),
      first_left_(std::min(kFirstGroups, static_cast<int>(count_))) {
  for (GroupId group = 0; group < count_; ++group) {
    groups_[group].steps_left = steps_of_group[group];
    if (steps_of_group[group] == 0) Open(group);
  }
}

void GroupGate::Open(GroupId group) {
  if (group < kFirstGroups && first_left_.fetch_sub(1) == 1) {
    first_layer_seconds_ = since_start_.Seconds();
  }
  groups_[group].latch.Open();
}

void GroupGate::Done(std::span<const GroupId> groups) {
  for (const GroupId group : groups) {
    const uint32_t before = groups_[group].steps_left.fetch_sub(1, std::memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1) Open(group);
  }
}

void GroupGate::Fail(Error error) {
  if (failing_.exchange(true)) return;
  error_ = std::move(error);
  failed_.store(true, std::memory_order_release);
  for (size_t group = 0; group < count_; ++group) groups_[group].latch.Open();
}

bool GroupGate::Ready(GroupId group) const {
  CHECK(group < count_);
  return groups_[group].latch.IsOpen();
}

Status GroupGate::Wait(GroupId group) const {
  CHECK(group < count_);
  groups_[group].latch.Wait();
  if (failed_.load(std::memory_order_acquire)) return tl::unexpected<Error>(*error_);
  return {};
}

double GroupGate::first_layer_seconds() const { return first_layer_seconds_; }

}  // namespace llmrun
