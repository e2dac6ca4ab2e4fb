// Ctrl-C as a question that long work asks, so that it ends cleanly: partial files are removed,
// reports are printed, and the process exits with kInterruptedExit. A second Ctrl-C kills.
// Threads: Interrupted() is Thread-safe.
#pragma once

#include <functional>

namespace llmrun {

inline constexpr int kInterruptedExit = 130;  // 128 + SIGINT, as shells report it

// From here on SIGINT and SIGTERM set the flag (once each; the next one has its default effect).
void CatchInterrupts();
bool Interrupted();
bool ToldToEnd();  // by SIGTERM, rather than by Ctrl-C
// From here on WaitToRead() hears of changes of the terminal: SIGCONT, after which it has the
// settings of somebody else (those before are forgotten), and SIGWINCH, after which it has another
// size.
void CatchTerminalChanges();
// Waits until `fd` can be read or is at its end; false once interrupted, before the call too.
// `changed` is called with the signal of a change of the terminal.
bool WaitToRead(int fd, const std::function<void(int signal)>& changed = nullptr);
void ForgetInterrupts();  // of Ctrl-C, and waits for the next one

}  // namespace llmrun
