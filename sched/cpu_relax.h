// One polite spin iteration: tells the core that this thread waits for a word in memory, so that it
// saves power and yields to its sibling. Takes 10 to 150 cycles depending on the processor, which
// is why waits are limited in nanoseconds and not in iterations.
#pragma once

namespace llmrun {

inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace llmrun
