// The hugetlb pools belong to the whole machine, and tests run at the same time: whoever fills,
// empties or counts on a pool holds this lock meanwhile.
//
//   HugePoolLease pool(PageKind::k2M, 4);
//   if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
//   ... four free 2M pages on node 0 until the end of the scope; arenas must be gone by then ...
#pragma once

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/unique_fd.h"
#include "memory/hugepage_pool.h"

namespace llmrun {

class HugePoolLock {
 public:
  HugePoolLock()
      : fd_(open((std::filesystem::temp_directory_path() / "llmrun-hugepool.lock").c_str(),
                 O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    while (fd_.valid() && flock(fd_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
  }

 private:
  UniqueFd fd_;  // closing it unlocks
};

// Takes the lock, tops the pool of node 0 up, and gives back what it added.
class HugePoolLease {
 public:
  HugePoolLease(PageKind kind, uint64_t pages) : kind_(kind) {
    const uint64_t total_before = TotalPages();
    const Result<uint64_t> added = ReserveHugePages({0, kind, pages});
    if (!added) why_not_ = added.error().OneLine();
    added_ = TotalPages() - total_before;  // a pool that stayed too small may have grown, too
  }
  ~HugePoolLease() { (void)ReleaseHugePages({0, kind_, added_}); }
  HugePoolLease(const HugePoolLease&) = delete;
  HugePoolLease& operator=(const HugePoolLease&) = delete;

  const std::string& why_not() const { return why_not_; }  // empty: the pages are there

 private:
  uint64_t TotalPages() const {
    const auto pools = HugePoolStatus();
    if (!pools) return 0;
    for (const PoolStatus& pool : *pools) {
      if (pool.node == 0 && pool.kind == kind_) return pool.total_pages;
    }
    return 0;
  }

  HugePoolLock lock_;
  PageKind kind_;
  uint64_t added_ = 0;
  std::string why_not_;
};

}  // namespace llmrun
