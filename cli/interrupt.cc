#include "cli/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace llmrun {
namespace {

std::atomic<int> interrupted = 0;                      // the signal
static_assert(std::atomic<int>::is_always_lock_free);  // as a signal handler needs it

// Readable once a signal came. A signal that comes just before a call that blocks does not end the
// call, and one that another thread takes never does: waiting for this as well hears both.
int SignalFd() {
  static const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd;  // -1: refused, and ignored by poll
}

void Note(int signal) {
  const int error = errno;
  interrupted.store(signal, std::memory_order_relaxed);
  (void)::eventfd_write(SignalFd(), 1);
  errno = error;
}

}  // namespace

void CatchInterrupts() {
  SignalFd();  // made before the first signal
  struct sigaction action = {};
  action.sa_handler = Note;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: blocked calls return EINTR
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return interrupted.load(std::memory_order_relaxed) != 0; }
bool ToldToEnd() { return interrupted.load(std::memory_order_relaxed) == SIGTERM; }

bool WaitToRead(int fd) {
  pollfd waits[2] = {{fd, POLLIN, 0}, {SignalFd(), POLLIN, 0}};
  while (!Interrupted()) {
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return true;  // reading says what is wrong
    if (waits[0].revents != 0) return true;
    eventfd_t count = 0;
    (void)::eventfd_read(SignalFd(), &count);  // heard; the flag tells
  }
  return false;
}

void ForgetInterrupts() {
  int forgotten = SIGINT;
  interrupted.compare_exchange_strong(forgotten, 0, std::memory_order_relaxed);
  CatchInterrupts();
}

}  // namespace llmrun
