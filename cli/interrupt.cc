#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace llmrun {
namespace {

std::atomic<int> interrupted = 0;                      // the signal
static_assert(std::atomic<int>::is_always_lock_free);  // as a signal handler needs it

void Note(int signal) { interrupted.store(signal, std::memory_order_relaxed); }

}  // namespace

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = Note;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: blocked calls return EINTR
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return interrupted.load(std::memory_order_relaxed) != 0; }
bool ToldToEnd() { return interrupted.load(std::memory_order_relaxed) == SIGTERM; }

void ForgetInterrupts() {
  int forgotten = SIGINT;
  interrupted.compare_exchange_strong(forgotten, 0, std::memory_order_relaxed);
  CatchInterrupts();
}

}  // namespace llmrun
