#include "sched/core_split.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

constexpr size_t kNobody = std::numeric_limits<size_t>::max();

// All CPUs of all lists in ascending order: below, a CPU is an index into these.
std::vector<unsigned> NumbersOf(const std::vector<CoreClaim>& claims) {
  std::vector<unsigned> numbers;
  for (const CoreClaim& claim : claims) {
    numbers.insert(numbers.end(), claim.cpus.begin(), claim.cpus.end());
  }
  std::ranges::sort(numbers);
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

// The list as indices, each once.
std::vector<unsigned> IndicesOf(const std::vector<unsigned>& cpus,
                                const std::vector<unsigned>& numbers) {
  std::vector<bool> seen(numbers.size());
  std::vector<unsigned> indices;
  for (const unsigned cpu : cpus) {
    const auto at = std::ranges::lower_bound(numbers, cpu) - numbers.begin();
    const auto index = static_cast<unsigned>(at);
    if (!seen[index]) indices.push_back(index);
    seen[index] = true;
  }
  return indices;
}

// Each CPU has at most one owner here.
class Division {
 public:
  Division(const std::vector<CoreClaim>& claims, size_t cpus)
      : claims_(claims),
        count_(claims.size(), 0),
        tried_(claims.size()),
        owner_(cpus, kNobody),
        settled_(cpus, false) {}

  std::vector<std::vector<unsigned>> Divide() {
    CountByTurns();
    std::vector<std::vector<unsigned>> shares(claims_.size());
    for (size_t member = 0; member < claims_.size(); ++member) {
      Settle(member);
      for (const unsigned cpu : claims_[member].cpus) {
        if (owner_[cpu] == member) shares[member].push_back(cpu);
      }
    }
    return shares;
  }

 private:
  void Give(unsigned cpu, size_t member) {
    if (owner_[cpu] != kNobody) --count_[owner_[cpu]];
    if (member != kNobody) ++count_[member];
    owner_[cpu] = member;
  }

  void CountByTurns() {
    std::vector<bool> content(claims_.size());
    for (unsigned turn = 0; !std::ranges::all_of(content, std::identity()); ++turn) {
      for (size_t member = 0; member < claims_.size(); ++member) {
        if (content[member]) continue;
        tried_.assign(claims_.size(), false);
        content[member] = turn >= claims_[member].wanted || !Grow(member);
      }
    }
  }

  // Fixes which CPUs the member has; how many does not change.
  void Settle(size_t member) {
    const std::vector<unsigned>& cpus = claims_[member].cpus;
    const size_t count = count_[member];
    size_t settled = 0;
    settling_ = member;
    tried_.assign(claims_.size(), false);
    for (auto cpu = cpus.begin(); settled < count; ++cpu) {
      CHECK(cpu != cpus.end());
      if (settled_[*cpu] || !TakeFromOthers(member, *cpu)) continue;
      settled_[*cpu] = true;
      ++settled;
      if (count_[member] > count) GiveBackLast(member);
    }
    settling_ = kNobody;
  }

  bool TakeFromOthers(size_t member, unsigned cpu) {
    const size_t owner = owner_[cpu];
    if (owner == member) return true;
    if (owner != kNobody) {
      if (!Grow(owner)) return false;  // whom it tried stays tried: they will not find one later
      tried_.assign(claims_.size(), false);
    }
    Give(cpu, member);
    return true;
  }

  void GiveBackLast(size_t member) {
    const std::vector<unsigned>& cpus = claims_[member].cpus;
    const auto last = std::find_if(cpus.rbegin(), cpus.rend(), [&](unsigned cpu) {
      return owner_[cpu] == member && !settled_[cpu];
    });
    CHECK(last != cpus.rend());
    Give(*last, kNobody);
  }

  // While a member settles, what it has not settled yet can be had: it takes another for it.
  bool IsFree(unsigned cpu) const {
    return owner_[cpu] == kNobody || (owner_[cpu] == settling_ && !settled_[cpu]);
  }

  // Finds the member one more CPU, a free one or one whose owner finds another for it. As deep as
  // there are members at most.
  bool Grow(size_t member) {  // NOLINT(misc-no-recursion)
    if (tried_[member]) return false;
    tried_[member] = true;
    for (const bool move_others : {false, true}) {
      for (const unsigned cpu : claims_[member].cpus) {
        if (move_others ? settled_[cpu] || !Grow(owner_[cpu]) : !IsFree(cpu)) continue;
        Give(cpu, member);
        return true;
      }
    }
    return false;
  }

  const std::vector<CoreClaim>& claims_;
  std::vector<size_t> count_;  // [member] CPUs it owns
  std::vector<bool> tried_;    // [member] by the search for one more
  std::vector<size_t> owner_;  // [CPU]
  std::vector<bool> settled_;  // [CPU]
  size_t settling_ = kNobody;
};

}  // namespace

std::vector<std::vector<unsigned>> SplitCores(const std::vector<CoreClaim>& claims) {
  const std::vector<unsigned> numbers = NumbersOf(claims);
  std::vector<std::vector<unsigned>> shares(claims.size());
  std::vector<CoreClaim> asking;
  std::vector<size_t> index;  // [asking.size()] in `claims`
  for (size_t i = 0; i < claims.size(); ++i) {
    if (claims[i].wanted == 0 || claims[i].cpus.empty()) continue;
    asking.push_back({IndicesOf(claims[i].cpus, numbers), claims[i].wanted});
    index.push_back(i);
  }
  // Who got none shares: all CPUs are divided once more, one each, until everybody has one.
  while (!asking.empty()) {
    const std::vector<std::vector<unsigned>> got = Division(asking, numbers.size()).Divide();
    std::vector<CoreClaim> left;
    std::vector<size_t> left_index;
    for (size_t i = 0; i < asking.size(); ++i) {
      for (const unsigned cpu : got[i]) shares[index[i]].push_back(numbers[cpu]);
      if (!got[i].empty()) continue;
      left.push_back({asking[i].cpus, 1});
      left_index.push_back(index[i]);
    }
    asking = std::move(left);
    index = std::move(left_index);
  }
  return shares;
}

}  // namespace llmrun
