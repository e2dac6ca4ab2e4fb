#include "cli/interrupt.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

namespace llmrun {
namespace {

std::atomic<int> interrupted = 0;   // the signal
std::atomic<bool> resumed = false;  // since the terminal was last looked at
std::atomic<bool> resized = false;
static_assert(std::atomic<int>::is_always_lock_free);  // as a signal handler needs it

// Readable once a signal came. A signal that comes just before a call that blocks does not end the
// call, and one that another thread takes never does: waiting for this as well hears both.
int SignalFd() {
  static const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd;  // -1: refused, and ignored by poll
}

void Wake() {
  const int error = errno;
  (void)::eventfd_write(SignalFd(), 1);
  errno = error;
}
void NoteSignal(int signal) {
  interrupted.store(signal, std::memory_order_relaxed);
  Wake();
}
void NoteTerminal(int signal) {
  (signal == SIGCONT ? resumed : resized).store(true, std::memory_order_relaxed);
  Wake();
}

void TellTerminal(const std::function<void(int signal)>& changed) {
  if (resumed.exchange(false) && changed) changed(SIGCONT);
  if (resized.exchange(false) && changed) changed(SIGWINCH);
}

}  // namespace

void CatchInterrupts() {
  SignalFd();  // made before the first signal
  struct sigaction action = {};
  action.sa_handler = NoteSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: blocked calls return EINTR
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Interrupted() { return interrupted.load(std::memory_order_relaxed) != 0; }
bool ToldToEnd() { return interrupted.load(std::memory_order_relaxed) == SIGTERM; }

void CatchTerminalChanges() {
  resumed.store(false);
  SignalFd();
  struct sigaction action = {};
  action.sa_handler = NoteTerminal;
  action.sa_flags = SA_RESTART;  // of interest only where WaitToRead() is
  sigaction(SIGCONT, &action, nullptr);
  sigaction(SIGWINCH, &action, nullptr);
}

bool WaitToRead(int fd, const std::function<void(int signal)>& changed) {
  pollfd waits[2] = {{fd, POLLIN, 0}, {SignalFd(), POLLIN, 0}};
  while (!Interrupted()) {
    TellTerminal(changed);
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
