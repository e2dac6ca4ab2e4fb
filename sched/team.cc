#include "sched/team.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

// Looked at for work when one's own is done. A home is untouched only while its member is late, and
// then the neighbours of that member come to it.
constexpr int kMostHelpedNear = 8;
constexpr int kMostHelpedFar = 4;

// Deals [begin, begin + size) to these members, by weight, with inner borders at multiples of
// `grain` from `begin`.
void DealTo(std::span<const int> members, std::span<const double> weights, Range all, int64_t grain,
            std::vector<Range>* homes) {
  double sum = 0;
  for (const int member : members) sum += weights[static_cast<size_t>(member)];
  const int64_t grains = (all.size() + grain - 1) / grain;
  int64_t begin = all.begin;
  double before = 0;
  for (const int member : members) {
    before += weights[static_cast<size_t>(member)];
    const auto dealt = static_cast<int64_t>(static_cast<double>(grains) * before / sum);
    int64_t end = std::clamp(all.begin + dealt * grain, begin, all.end);
    if (member == members.back()) end = all.end;  // whatever rounding says
    (*homes)[static_cast<size_t>(member)] = {begin, end};
    begin = end;
  }
}

}  // namespace

Team::Team(std::vector<std::optional<unsigned>> nodes, std::vector<double> weights)
    : nodes_(std::move(nodes)), weights_(std::move(weights)) {
  CHECK(nodes_.size() == weights_.size());
  size_ = static_cast<int>(std::ranges::count_if(weights_, [](double w) { return w > 0; }));
  CHECK(size_ > 0);
  MakeGroups();
  ChooseHelped();
}

std::vector<int> Team::Workers() const {
  std::vector<int> workers;
  for (int i = 0; i < members(); ++i) {
    if (works(i)) workers.push_back(i);
  }
  return workers;
}

std::vector<int> Team::WorkersOn(std::optional<unsigned> node) const {
  std::vector<int> workers = Workers();
  std::erase_if(workers, [&](int member) { return nodes_[Index(member)] != node; });
  return workers;
}

void Team::MakeGroups() {
  groups_.assign(nodes_.size(), 0);
  n_groups_ = 0;
  std::vector<std::optional<unsigned>> distinct;
  for (int i = 0; i < members(); ++i) {
    if (works(i) && std::ranges::count(distinct, node(i)) == 0) distinct.push_back(node(i));
  }
  for (const std::optional<unsigned>& here : distinct) {
    const std::vector<int> workers = WorkersOn(here);
    const int parts = (static_cast<int>(workers.size()) + kGroupSize - 1) / kGroupSize;
    for (size_t rank = 0; rank < workers.size(); ++rank) {
      groups_[Index(workers[rank])] =
          n_groups_ + static_cast<int>(rank) * parts / static_cast<int>(workers.size());
    }
    n_groups_ += parts;
  }
}

void Team::ChooseHelped() {
  helped_.resize(nodes_.size());
  for (int i = 0; i < members(); ++i) {
    if (!works(i)) continue;
    int near = 0;
    int far = 0;
    std::vector<int>& helped = helped_[Index(i)];
    for (const bool same_node : {true, false}) {
      for (int step = 1; step < members(); ++step) {
        const int other = (i + step) % members();
        if (!works(other) || (node(other) == node(i)) != same_node) continue;
        if (same_node ? near++ < kMostHelpedNear : far++ < kMostHelpedFar) helped.push_back(other);
      }
    }
  }
}

StepPlan Team::Finish(StepPlan plan) const {
  plan.group_units.assign(static_cast<size_t>(n_groups_), 0);
  for (int i = 0; i < members(); ++i) {
    if (works(i)) {
      plan.group_units[Index(group(i))] += static_cast<uint64_t>(plan.homes[Index(i)].size());
    }
  }
  return plan;
}

StepPlan Team::Deal(Zone zone, int64_t total, int64_t grain) const {
  StepPlan plan{.zone = zone, .total = total, .grain = grain};
  plan.homes.resize(nodes_.size());
  DealTo(Workers(), weights_, {0, total}, grain, &plan.homes);
  return Finish(std::move(plan));
}

StepPlan Team::DealByNode(Zone zone, std::span<const Share> shares, int64_t grain) const {
  StepPlan plan{.zone = zone, .grain = grain};
  std::vector<std::vector<int>> workers;
  bool all_have_workers = true;
  for (const Share& share : shares) {
    plan.total += share.size;
    workers.push_back(WorkersOn(share.node));
    all_have_workers &= !workers.back().empty();
  }
  if (!all_have_workers || shares.empty()) return Deal(zone, plan.total, grain);
  plan.homes.resize(nodes_.size());
  int64_t begin = 0;
  for (size_t i = 0; i < shares.size(); ++i) {
    DealTo(workers[i], weights_, {begin, begin + shares[i].size}, grain, &plan.homes);
    begin += shares[i].size;
  }
  return Finish(std::move(plan));
}

StepPlan Team::Single(Zone zone) const {
  StepPlan plan{.zone = zone, .total = 1};
  plan.homes.resize(nodes_.size());
  plan.homes[Index(Workers().back())] = {0, 1};
  return Finish(std::move(plan));
}

}  // namespace llmrun
