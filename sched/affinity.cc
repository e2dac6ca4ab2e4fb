#include "sched/affinity.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace llmrun {
namespace {

// Masks are passed to the kernel as plain words: cpu_set_t ends at 1024 CPUs.
using Word = unsigned long;
constexpr unsigned kWordBits = sizeof(Word) * CHAR_BIT;
constexpr size_t kMaxMaskWords = 1024;

}  // namespace

std::vector<unsigned> CpusIn(const CpuMask& mask) {
  std::vector<unsigned> cpus;
  for (unsigned cpu = 0; cpu < mask.words.size() * kWordBits; ++cpu) {
    if ((mask.words[cpu / kWordBits] >> cpu % kWordBits & 1) != 0) cpus.push_back(cpu);
  }
  return cpus;
}

pid_t ThisThreadId() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

Result<CpuMask> AffinityOf(pid_t thread_id) {
  CpuMask mask;
  // EINVAL: the kernel has more CPUs than the mask has room for.
  for (size_t words = 16; words <= kMaxMaskWords; words *= 2) {
    mask.words.assign(words, 0);
    const long bytes =
        ::syscall(SYS_sched_getaffinity, thread_id, words * sizeof(Word), mask.words.data());
    if (bytes >= 0) {
      mask.words.resize(static_cast<size_t>(bytes) / sizeof(Word));
      return mask;
    }
    if (errno != EINVAL) break;
  }
  return OsError(errno, "sched_getaffinity");
}

Status SetAffinity(pid_t thread_id, const CpuMask& mask) {
  const size_t bytes = mask.words.size() * sizeof(Word);
  if (::syscall(SYS_sched_setaffinity, thread_id, bytes, mask.words.data()) != 0) {
    return OsError(errno, "sched_setaffinity");
  }
  return {};
}

Status PinToCpu(pid_t thread_id, unsigned cpu) {
  if (cpu / kWordBits >= kMaxMaskWords) return OsError(EINVAL, "sched_setaffinity");
  CpuMask mask;
  mask.words.resize(cpu / kWordBits + 1);
  mask.words[cpu / kWordBits] = Word{1} << cpu % kWordBits;
  return SetAffinity(thread_id, mask);
}

}  // namespace llmrun
