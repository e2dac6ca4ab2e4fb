// Who gets which cores, when several processes want them: the pure part of sched/core_lease.h.
//
// First the counts, by turns: each member in order gets one more for as long as it wants more and
// one can be found, be it that others move to other CPUs of theirs. Then the CPUs: each member in
// order takes the first ones of its own list that leave the others their counts, so that what a
// member has lies together as it would pin it. No CPU that somebody wants is left over. Where there
// are more members than CPUs, each still gets one, shared as evenly as their lists allow.
//
// How: counts grow by augmenting paths in the graph of members and CPUs (Kuhn 1955), which take
// nothing away from anybody. Threads: Thread-safe (a pure function: everybody who asks with the
// same claims gets the same answer).
#pragma once

#include <vector>

namespace llmrun {

// What one member asks for.
struct CoreClaim {
  std::vector<unsigned> cpus;  // the kernel's numbers, in the order in which it would pin them
  unsigned wanted = 0;         // how many of them; more than there are is all of them
};

// [claims.size()] the CPUs of each, in the order of its list. None for a member that wants none or
// whose list is empty. A CPU that a list names twice counts once.
std::vector<std::vector<unsigned>> SplitCores(const std::vector<CoreClaim>& claims);

}  // namespace llmrun
