// What one thread learned about one place where it waits: how long waits there take, and from that
// how long spinning pays. Also the counts that --profile shows.
//
// The rule: spin for twice the usual wait if that is less than the limit, else only briefly,
// because the sleep comes anyway; but to the limit every eighth time, because waits may be long
// only because everybody sleeps and has to be woken. Waits that end within the first looks count as
// none.
//
// Threads: belongs to one thread; counters may be read by others once it has been synchronized
// with.
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmrun {

// The limit for threads that have a CPU each: as long as waking somebody up takes on a virtual
// machine that is busy, so that a partner that is just being woken is still caught.
inline constexpr uint32_t kOwnCpuSpinNs = 100'000;

class WaitSite {
 public:
  WaitSite() = default;
  // `most_spin_ns`: 0 sleeps at once, for threads that share a CPU.
  explicit WaitSite(uint32_t most_spin_ns)
      : most_spin_ns_(most_spin_ns), usual_ns_(most_spin_ns / 2) {}

  uint32_t spin_ns() const {
    const uint32_t least = std::min(kLeastSpinNs, most_spin_ns_);
    const uint32_t wish = 2 * usual_ns_;
    if (wish <= most_spin_ns_) return std::max(wish, least);
    return waits_ % kTryEvery == 0 ? most_spin_ns_ : least;
  }

  // After a wait: how long it was, and whether it slept.
  void Waited(uint64_t ns, bool slept) {
    ++waits_;
    sleeps_ += slept ? 1 : 0;
    waited_ns_ += ns;
    // An eighth at a time; one long wait must not count for more than a few short ones.
    const auto seen = static_cast<int64_t>(std::min<uint64_t>(ns, 4 * uint64_t{most_spin_ns_}));
    usual_ns_ = static_cast<uint32_t>(int64_t{usual_ns_} + (seen - int64_t{usual_ns_}) / 8);
  }

  uint64_t waits() const { return waits_; }
  uint64_t sleeps() const { return sleeps_; }
  uint64_t waited_ns() const { return waited_ns_; }

 private:
  static constexpr uint32_t kLeastSpinNs = 2'000;
  static constexpr uint64_t kTryEvery = 8;

  uint32_t most_spin_ns_ = 0;
  uint32_t usual_ns_ = 0;
  uint64_t waits_ = 0;
  uint64_t sleeps_ = 0;
  uint64_t waited_ns_ = 0;
};

}  // namespace llmrun
