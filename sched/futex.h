// futex(2) on a word that only this process shares. The only file that knows the system call.
#pragma once

#include <atomic>
#include <cstdint>

namespace llmrun {

// Sleeps if `word` still holds `expected`. May return at any time for no reason (signals, a late
// wake-up meant for an earlier value): callers load the word again and decide.
void FutexWait(const std::atomic<uint32_t>& word, uint32_t expected);
// Wakes everyone who sleeps on `word`. Never fails.
void FutexWakeAll(const std::atomic<uint32_t>& word);

}  // namespace llmrun
