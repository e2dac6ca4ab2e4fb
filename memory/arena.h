// Memory for weights: one contiguous range of addresses, tiled with pages of several kinds,
// reserved and touched before anything is read into it, then filled, then sealed.
//
// Life: Reserve() maps and populates; the caller writes into data(); Seal() makes it read-only.
// Order inside Reserve: mmap -> mbind (when nodes are given) -> MADV_POPULATE_WRITE, whose result
// is checked: a page that cannot be had is an Error or a Fallback, never a SIGBUS later.
//
// With `touch_later` Reserve() leaves the touching to EnsurePages(), so that it can go on beside
// the reads: no byte may be written before EnsurePages() returned Ok for it.
//
// The ladder: a tile that cannot be had is taken one step down: 1G -> 2M -> THP -> 4K.
// With HugePagesPolicy::kRequire a step down is an Error (kUnavailable) that names the pool's state
// and the command that fills it.
//
// Threads: Thread-compatible; distinct bytes may be written by distinct threads until Seal();
// EnsurePages() and TryPages() are Thread-safe until FinishPages().
// Owner: the Arena unmaps on destruction; views into it must be gone by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "memory/node_set.h"
#include "memory/page_kind.h"

namespace llmrun {

struct ArenaSpec {
  std::vector<PageTile> tiles;  // in address order, largest pages first; sum = size of the arena
  NodeSet nodes;                // where the pages are to lie; none: the kernel's first touch
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  int populate_threads = 1;  // who touch the pages in Reserve(), at least 1
  bool touch_later = false;
};

// Tiles for `bytes`: whole pages of the wanted kind, then the next smaller; the last piece behind
// huge pages in one more page of 2 MiB. What is smaller than the smallest huge page lies in 4K.
//   kOff: 4K. kThp: THP. k2M: 2M pages. k1G: whole 1G pages, then 2M.
//   kAuto: as many 1G and 2M pages as the pools have free, the rest THP.
//   With kRequire the last page is rounded up, so that every byte lies in the wanted kind; for
//   kAuto that is any pool: 1G while there are some, 2M for the rest, or one more 1G page where the
//   2M pool is too small for the rest.
// Pure: `free_1g`/`free_2m` are read by kAuto only. Requires: bytes <= 2^62. No bytes, no tiles.
struct TileRequest {
  uint64_t bytes = 0;
  HugePages pages = HugePages::kOff;
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  uint64_t free_1g = 0;
  uint64_t free_2m = 0;
};
std::vector<PageTile> PlanTiles(const TileRequest& request);

class PageCalls;
class PageFiller;

class Arena {
 public:
  // Errors: kUnavailable (kRequire and not to be had), kResource (memory is short, with numbers;
  // found out before a page is touched, so that the OOM killer never comes), kUsage (no such node),
  // kOs. Without permission to bind (EPERM) pages go where the populating threads run: a Fallback.
  static Result<Arena> Reserve(const ArenaSpec& spec);
  // The same with other system calls, for tests. `calls` is used during the call only, or as long
  // as the arena is there with touch_later.
  static Result<Arena> Reserve(const ArenaSpec& spec, PageCalls& calls);
  // Takes over a mapping that somebody else made and touched, and unmaps it as its own. Sealing one
  // that is read-only already changes nothing. Requires: whole pages of `kind`.
  static Arena Adopt(std::span<std::byte> mapping, PageKind kind);
  ~Arena();
  Arena(Arena&&) noexcept;
  Arena& operator=(Arena&&) noexcept;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // With touch_later. EnsurePages(): every page of the range is there, touched by this thread or
  // another. Failure: kResource or kUnavailable. TryPages(): touches what nobody has begun to;
  // false when there was none.
  Status EnsurePages(uint64_t offset, uint64_t bytes);
  bool TryPages(uint64_t offset, uint64_t bytes);
  // Touches the rest and accounts for it: got(), fallbacks() and populate_seconds() are right from
  // here on. The last is summed over threads then.
  Status FinishPages();

  std::byte* data() const { return data_; }
  uint64_t size_bytes() const { return size_bytes_; }
  const std::vector<PageTile>& got() const { return got_; }  // tiles as they were obtained
  const std::vector<Fallback>& fallbacks() const { return fallbacks_; }
  double populate_seconds() const { return populate_seconds_; }

  // mlock(2); a no-op for hugetlb pages, which are never swapped. kResource where the limit
  // (RLIMIT_MEMLOCK) forbids it.
  Status Lock();
  Status Seal();  // PROT_READ from here on

 private:
  Arena();
  Status Map(uint64_t size_bytes, uint64_t alignment);
  void Release();

  std::byte* data_ = nullptr;
  uint64_t size_bytes_ = 0;
  std::vector<PageTile> got_;
  std::vector<Fallback> fallbacks_;
  double populate_seconds_ = 0;
  std::unique_ptr<PageFiller> filler_;  // until FinishPages()
};

}  // namespace llmrun
