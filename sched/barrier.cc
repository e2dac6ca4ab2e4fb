#include "sched/barrier.h"

#include <algorithm>

#include "sched/team.h"

namespace llmrun {
namespace {

constexpr int kGroupSize = Team::kGroupSize;  // neighbours by number

}  // namespace

Barrier::Barrier(int members, uint32_t most_spin_ns)
    : members_(members),
      arrived_((members + kGroupSize - 1) / kGroupSize),
      own_(std::make_unique<Own[]>(static_cast<size_t>(members))) {
  arrived_.SetGroups((members + kGroupSize - 1) / kGroupSize);
  for (int i = 0; i < members; ++i) own_[static_cast<size_t>(i)].site = WaitSite(most_spin_ns);
}

void Barrier::ArriveAndWait(int member) {
  Own& own = own_[static_cast<size_t>(member)];
  ++own.generation;
  const int group = member / kGroupSize;
  const auto size = static_cast<uint64_t>(std::min(kGroupSize, members_ - group * kGroupSize));
  const uint64_t target = own.generation * static_cast<uint64_t>(members_);
  arrived_.Report(group, 1, size, own.generation * size, target);
  arrived_.Await(group, target, own.site);
}

}  // namespace llmrun
