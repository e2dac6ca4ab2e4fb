#include "loader/io/bus_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <mutex>

namespace llmrun {
namespace {

constexpr uintptr_t kGuardPageBytes = 4096;
constexpr uintptr_t kNone = UINTPTR_MAX;

struct GuardedRange {
  std::atomic<uintptr_t> begin{0};  // 0: free
  std::atomic<uintptr_t> end{0};
  std::atomic<uintptr_t> missing{kNone};  // address of the first missing page
};

std::array<GuardedRange, BusGuard::kMaxRanges> ranges;
std::mutex ranges_mutex;  // for taking and giving back; the handler only reads
struct sigaction previous_action;

bool Replace(uintptr_t address) {
  for (GuardedRange& range : ranges) {
    const uintptr_t begin = range.begin.load(std::memory_order_acquire);
    const uintptr_t end = range.end.load(std::memory_order_acquire);
    if (begin == 0 || address < begin || address >= end) continue;
    const uintptr_t page = address / kGuardPageBytes * kGuardPageBytes;
    uintptr_t seen = range.missing.load();
    while (page < seen && !range.missing.compare_exchange_weak(seen, page)) {
    }
    // What lies behind a missing page is behind the end of the file, too.
    return ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
  }
  return false;
}

void OnBusError(int signal_number, siginfo_t* info, void* context) {
  if (Replace(reinterpret_cast<uintptr_t>(info->si_addr))) return;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    return previous_action.sa_sigaction(signal_number, info, context);
  }
  ::sigaction(SIGBUS, &previous_action, nullptr);  // the access is repeated, and ends as it would
}

void InstallOnce() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = OnBusError;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigemptyset(&action.sa_mask);
    return ::sigaction(SIGBUS, &action, &previous_action) == 0;
  }();
  static_cast<void>(installed);
}

}  // namespace

BusGuard::BusGuard(std::span<const std::byte> range) {
  InstallOnce();
  const std::lock_guard lock(ranges_mutex);
  for (size_t i = 0; i < ranges.size() && slot_ < 0; ++i) {
    if (ranges[i].begin != 0) continue;
    slot_ = static_cast<int>(i);
    const auto begin = reinterpret_cast<uintptr_t>(range.data());
    ranges[i].missing = kNone;
    ranges[i].end =
        (begin + range.size() + kGuardPageBytes - 1) / kGuardPageBytes * kGuardPageBytes;
    ranges[i].begin.store(begin, std::memory_order_release);
  }
}

BusGuard::~BusGuard() {
  if (slot_ < 0) return;
  const std::lock_guard lock(ranges_mutex);
  ranges[static_cast<size_t>(slot_)].begin = 0;
}

std::optional<uint64_t> BusGuard::FirstMissing() const {
  if (slot_ < 0) return std::nullopt;
  const GuardedRange& range = ranges[static_cast<size_t>(slot_)];
  const uintptr_t missing = range.missing.load(std::memory_order_acquire);
  if (missing == kNone) return std::nullopt;
  return missing - range.begin.load();
}

}  // namespace llmrun
