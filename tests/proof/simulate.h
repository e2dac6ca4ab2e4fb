// Runs a harness under relacy: a class with threads that share it, see progress_proof_test.cc.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <ostream>
#include <string>

#include "tests/proof/relacy_waiting.h"

namespace llmrun::proof {

// Threads of a harness: void thread(unsigned index).
template <typename Derived, int threads>
using Harness = rl::test_suite<Derived, threads>;

// All schedules with at most so many switches between threads that could have gone on; 0: schedules
// by chance, from seeds 1, 2, ...
struct Search {
  size_t iterations = 100'000;
  unsigned switches = 0;
};

struct Outcome {
  bool passed = false;
  size_t iterations = 0;
  std::string what;  // why not
};

// Relacy's operators new and delete are inline; all sources of the binary must agree on them.
[[gnu::used]] inline void* (*const kNew)(size_t) = &::operator new;
[[gnu::used]] inline void (*const kDelete)(void*) = &::operator delete;

template <typename Test>
Outcome Simulate(const Search& search, bool with_history = false) {
  rl::ostringstream log;  // outlives the simulation that writes to it
  rl::ostringstream state;
  rl::test_params params;
  params.iteration_count = search.iterations;
  params.output_stream = &log;
  params.progress_stream = &log;
  params.execution_depth_limit = 4000;
  params.search_type = search.switches == 0 ? rl::sched_random : rl::sched_bound;
  params.context_bound = search.switches;
  if (with_history) {
    rl::simulate<Test>(params);
  } else if (search.switches == 0) {
    rl::run_test<Test, rl::random_scheduler<Test::params::thread_count>>(params, state, false);
  } else {
    rl::run_test<Test, rl::context_bound_scheduler<Test::params::thread_count>>(params, state,
                                                                                false);
  }
  return {.passed = params.test_result == rl::test_result_success,
          .iterations = static_cast<size_t>(params.stop_iteration),
          .what = with_history ? std::string(log.str().c_str())
                               : rl::test_result_str(params.test_result)};
}

template <typename Test>
void ExpectHolds(const Search& search) {
  const Outcome outcome = Simulate<Test>(search);
  if (outcome.passed) return;
  ADD_FAILURE() << Simulate<Test>(search, true).what.substr(0, 20'000);
}

// It fails in this way, and not because something else is wrong.
template <typename Test>
void ExpectFails(const Search& search, rl::test_result_e how) {
  const Outcome outcome = Simulate<Test>(search);
  EXPECT_EQ(outcome.what, rl::test_result_str(how)) << "in " << outcome.iterations << " schedules";
}

}  // namespace llmrun::proof
