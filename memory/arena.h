// Memory for weights: one contiguous range of addresses, tiled with pages of several kinds, reserved
// and touched before anything is read into it, then filled, then sealed.
//
// Life: Reserve() maps and populates; the caller writes into data(); Seal() makes it read-only.
// Order inside Reserve: mmap -> mbind (when a node is given) -> MADV_POPULATE_WRITE, whose result is
// checked: a page that cannot be had is an Error or a Fallback, never a SIGBUS later.
//
// The ladder: a tile that cannot be had is taken one step down: 1G -> 2M -> THP -> 4K.
// With HugePagesPolicy::kRequire a step down is an Error (kUnavailable) that names the pool's state
// and the command that fills it.
//
// Threads: Thread-compatible; distinct bytes may be written by distinct threads until Seal().
// Owner: the Arena unmaps on destruction; views into it must be gone by then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "memory/page_kind.h"

namespace llmrun {

struct ArenaSpec {
  std::vector<PageTile> tiles;   // in address order, largest pages first; sum = size of the arena
  std::optional<unsigned> node;  // bind to this NUMA node; unset: the kernel's first touch
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  int populate_threads = 1;  // who touch the pages, at least 1
};

// Tiles for `bytes`: whole pages of the wanted kind, then the next smaller, 4K last.
//   kOff: 4K. kThp: 2 MiB multiples of THP, 4K rest. k2M: 2M pages, 4K rest. k1G: 1G, 2M, 4K.
//   kAuto: as many 1G and 2M pages as the pools have free, the rest THP, then 4K.
//   With kRequire the last page is rounded up, so that every byte lies in the wanted kind.
// Pure: `free_1g`/`free_2m` are read by kAuto only.
struct TileRequest {
  uint64_t bytes = 0;
  HugePages pages = HugePages::kOff;
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  uint64_t free_1g = 0;
  uint64_t free_2m = 0;
};
std::vector<PageTile> PlanTiles(const TileRequest& request);

class Arena {
 public:
  static Result<Arena> Reserve(const ArenaSpec& spec);
  ~Arena();
  Arena(Arena&&) noexcept;
  Arena& operator=(Arena&&) noexcept;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size_bytes() const { return size_bytes_; }
  const std::vector<PageTile>& got() const { return got_; }  // tiles as they were obtained
  const std::vector<Fallback>& fallbacks() const { return fallbacks_; }
  double populate_seconds() const { return populate_seconds_; }

  Status Lock();  // mlock(2); a no-op for hugetlb pages, which are never swapped
  Status Seal();  // PROT_READ from here on

 private:
  Arena() = default;
  void Release();

  std::byte* data_ = nullptr;
  uint64_t size_bytes_ = 0;
  std::vector<PageTile> got_;
  std::vector<Fallback> fallbacks_;
  double populate_seconds_ = 0;
};

}  // namespace llmrun
