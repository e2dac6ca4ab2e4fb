#include "base/process_seed.h"

#include <sys/random.h>

namespace llmrun {

uint64_t ProcessSeed() {
  static const uint64_t seed = [] {
    uint64_t value = 0;
    const bool filled = ::getrandom(&value, sizeof value, GRND_NONBLOCK) == sizeof value;
    return filled ? value : 0x9e3779b97f4a7c15;
  }();
  return seed;
}

}  // namespace llmrun
