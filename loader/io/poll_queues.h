// Whether the device a file lies on can be polled for completions (IORING_SETUP_IOPOLL).
// Source: Linux, Documentation/ABI/stable/sysfs-block (queue/io_poll).
#pragma once

#include <cstdint>
#include <string>

namespace llmrun {

// NVMe has them when asked to as its driver starts.
inline constexpr char kPollQueuesFix[] =
    "for NVMe: nvme.poll_queues=N on the kernel's command line, N at most the number of CPUs";

struct PollQueues {
  // Empty when the device has them or does not tell (the device mapper, network file systems): then
  // a read has to be tried.
  std::string why_not;
  // Of one polled read. The kernel does not poll for longer ones, which it would split: Linux 6.1
  // never completes them.
  uint64_t most_bytes = 128 << 10;
};

// `direct_fd` is open with O_DIRECT, or -1. Threads: Thread-safe.
PollQueues PollQueuesOf(int direct_fd, const std::string& sys = "/sys");

}  // namespace llmrun
