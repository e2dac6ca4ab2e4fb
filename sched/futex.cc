#include "sched/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace llmrun {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) &&
                  std::atomic<uint32_t>::is_always_lock_free,
              "the kernel compares the bytes of the atomic");

long Futex(const std::atomic<uint32_t>& word, int operation, uint32_t value) {
  return ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

}  // namespace

// Errors (EAGAIN: the word changed; EINTR: a signal) mean what a return means: look again.
void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected) {
  Futex(word, FUTEX_WAIT, expected);
}

void FutexWakeAll(const std::atomic<uint32_t>& word) { Futex(word, FUTEX_WAKE, INT_MAX); }

}  // namespace llmrun
