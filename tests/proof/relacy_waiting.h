// Relacy's weak memory as a platform of sched/progress.h: every atomic operation is a point where
// another thread may go on, a load may return any value that its memory order lets it, and a futex
// sleeps until somebody wakes it, or for no reason.
//
// The futex orders nothing: the kernel's does, but its manual promises only that looking at the
// word and falling asleep are one step.
//
// Threads: inside of a simulation only. Relacy's macros end with this header, which is why it must
// be the first to include relacy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

// Not <relacy/relacy.hpp>, which redefines new, pthreads and half of Windows by macros.
#include <relacy/context.hpp>
// after it
#include <relacy/atomic.hpp>
#include <relacy/context_base_impl.hpp>
#include <relacy/stdlib/condition_variable.hpp>
#include <relacy/stdlib/event.hpp>
#include <relacy/stdlib/mutex.hpp>
#include <relacy/stdlib/semaphore.hpp>
#include <relacy/test_suite.hpp>
#include <relacy/var.hpp>
#undef $

#include "sched/wait_site.h"

namespace llmrun::proof {

constexpr rl::memory_order ToRelacy(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    case std::memory_order_seq_cst:
      break;
  }
  return rl::mo_seq_cst;
}

// std::atomic as far as sched/ uses it.
template <typename T>
class RelacyAtomic {
 public:
  explicit RelacyAtomic(T value) : cell_(value) {}

  T load(std::memory_order order) const { return cell_.load(ToRelacy(order), RL_INFO); }
  void store(T value, std::memory_order order) { cell_.store(value, ToRelacy(order), RL_INFO); }
  T fetch_add(T value, std::memory_order order) {
    return cell_.fetch_add(value, ToRelacy(order), RL_INFO);
  }
  T fetch_sub(T value, std::memory_order order) {
    return cell_.fetch_sub(value, ToRelacy(order), RL_INFO);
  }
  T fetch_and(T value, std::memory_order order) {
    return cell_.fetch_and(value, ToRelacy(order), RL_INFO);
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order order,
                             std::memory_order failure) {
    return cell_.compare_exchange_weak(expected, value, ToRelacy(order), RL_INFO, ToRelacy(failure),
                                       RL_INFO);
  }

  void Sleep(T expected) const {
    rl::context& context = rl::ctx();
    context.sched();
    if (cell_.debug_value() != expected) {
      // A complete search would have the caller see an old word for ever.
      if (!context.is_random_sched()) context.yield(1, RL_INFO);
      return;
    }
    const uint32_t me = uint32_t{1} << rl::thread_index();
    asleep_ |= me;
    context.park_current_thread(false, true, false, RL_INFO);
    asleep_ &= ~me;
  }
  void Wake() const {
    rl::context& context = rl::ctx();
    context.sched();
    for (int thread = 0; asleep_ != 0; ++thread) {
      const uint32_t bit = uint32_t{1} << thread;
      if ((asleep_ & bit) == 0) continue;
      asleep_ &= ~bit;
      context.unpark_thread(thread, false, RL_INFO);
    }
  }

 private:
  rl::atomic<T> cell_;
  mutable uint32_t asleep_ = 0;  // threads that sleep on it
};

struct RelacyWaiting {
  template <typename T>
  using Atomic = RelacyAtomic<T>;
  struct Courtesy {
    void Begin() {}
    int64_t End() { return 0; }
    void Offer() {}
  };

  static void FutexWait(const Atomic<uint32_t>& word, uint32_t expected) { word.Sleep(expected); }
  static void FutexWakeAll(const Atomic<uint32_t>& word) { word.Wake(); }

  // Spins for one look, or not at all.
  template <typename Reached, typename Sleep>
  static void Wait(const Atomic<uint64_t>& /*value*/, const Reached& reached, const Sleep& sleep,
                   WaitSite& /*site*/) {
    if (rl::rand(2) == 0 && reached()) return;
    sleep();
  }
};

// What is not atomic: a read or a write that no happens-before separates from another is a race.
class Data {
 public:
  void Set(int value) { cell_(RL_INFO).store(value); }
  int Get() const { return cell_(RL_INFO).load(); }

 private:
  rl::var<int> cell_{0};
};

inline void Expect(bool condition) {
  RL_ASSERT_IMPL(condition, rl::test_result_user_assert_failed, "wrong value", RL_INFO);
}

}  // namespace llmrun::proof
