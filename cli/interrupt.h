// Ctrl-C as a question that long work asks, so that it ends cleanly: partial files are removed,
// reports are printed, and the process exits with kInterruptedExit. A second Ctrl-C kills.
// Threads: Interrupted() is Thread-safe.
#pragma once

namespace llmrun {

inline constexpr int kInterruptedExit = 130;  // 128 + SIGINT, as shells report it

// From here on SIGINT and SIGTERM set the flag (once each; the next one has its default effect).
void CatchInterrupts();
bool Interrupted();
bool ToldToEnd();  // by SIGTERM, rather than by Ctrl-C
// Waits until `fd` can be read or is at its end; false once interrupted, before the call too.
bool WaitToRead(int fd);
void ForgetInterrupts();  // of Ctrl-C, and waits for the next one

}  // namespace llmrun
