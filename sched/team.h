// Who of a pool's members works now, and who of them sits near whom.
// Threads: a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sched/step_plan.h"

namespace llmrun {

class Team {
 public:
  // Members that count on one line (sched/team_progress.h).
  static constexpr int kGroupSize = 8;

  // `nodes`: the NUMA node of each member of the pool; `weights`: how fast each is, the fastest 1,
  // and 0 for those that do not work. Requires: as many of both, one weight above 0.
  Team(std::vector<std::optional<unsigned>> nodes, std::vector<double> weights);

  int members() const { return static_cast<int>(nodes_.size()); }  // of the pool
  int size() const { return size_; }                               // who work
  bool works(int member) const { return weights_[Index(member)] > 0; }
  std::optional<unsigned> node(int member) const { return nodes_[Index(member)]; }

  // Groups hold neighbours of one node that work, at most kGroupSize.
  int n_groups() const { return n_groups_; }
  int group(int member) const { return groups_[Index(member)]; }  // 0 for those that do not work
  // Whom a member helps when its own work is done, nearest first; not all of a large team.
  std::span<const int> helped_by(int member) const { return helped_[Index(member)]; }

  // Deals out [0, total) to those who work, by weight.
  StepPlan Deal(Zone zone, int64_t total, int64_t grain) const;
  // The same for work that lies on nodes, one share after the other, each for those who work on its
  // node; when nobody works on one of the nodes, all of it is for everybody. Requires: distinct
  // nodes.
  struct Share {
    int64_t size = 0;
    std::optional<unsigned> node;
  };
  StepPlan DealByNode(Zone zone, std::span<const Share> shares, int64_t grain) const;
  // One unit, for the last member.
  StepPlan Single(Zone zone) const;

 private:
  static size_t Index(int member) { return static_cast<size_t>(member); }
  // Who work, in the order of the pool; those of one node.
  std::vector<int> Workers() const;
  std::vector<int> WorkersOn(std::optional<unsigned> node) const;
  StepPlan Finish(StepPlan plan) const;  // adds up its groups
  void MakeGroups();
  void ChooseHelped();

  std::vector<std::optional<unsigned>> nodes_;
  std::vector<double> weights_;
  std::vector<int> groups_;
  std::vector<std::vector<int>> helped_;
  int size_ = 0;
  int n_groups_ = 1;
};

}  // namespace llmrun
