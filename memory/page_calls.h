// The system calls an Arena is built with, behind one interface, so that the ladder can be tested
// against a machine that refuses them (empty pools, a short node, mbind forbidden by seccomp).
//
// Addresses lie in a range that the Arena reserved (PROT_NONE, anonymous, private); a run keeps to
// whole pages of its kind. Calls return 0 or an errno value and never raise SIGBUS.
// Threads: several call at once, each for runs of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fallback.h"
#include "memory/node_set.h"
#include "memory/page_kind.h"

namespace llmrun {

// Memory that may be taken, and who says so ("MemAvailable", a cgroup's limit, "node 1").
struct AvailableMemory {
  uint64_t bytes = 0;
  std::string source;
};

class PageCalls {
 public:
  virtual ~PageCalls() = default;

  // Makes the run writable memory of this kind. On failure the run is as it was.
  // ENOMEM: the pool (or the commit limit) is too small. EINVAL: no such page size in this kernel.
  // EOPNOTSUPP: transparent huge pages are switched off.
  virtual int Map(std::byte* at, uint64_t bytes, PageKind kind) = 0;
  // Back to the bare reservation.
  virtual int Unmap(std::byte* at, uint64_t bytes) = 0;
  // Later pages of the run come from these nodes, of which there is at least one. With several the
  // kernel takes pages elsewhere when one is short. EINVAL: no such node, or not allowed here.
  virtual int Bind(std::byte* at, uint64_t bytes, const NodeSet& nodes) = 0;
  // Brings every page of the run into memory.
  virtual int Populate(std::byte* at, uint64_t bytes, PageKind kind) = 0;

  // Free pages of a pool that a run on these nodes can have in equal parts; of all nodes for none.
  virtual uint64_t FreePages(PageKind kind, const NodeSet& nodes) = 0;
  // On these nodes together, or on all for none. nullopt when the machine does not say.
  virtual std::optional<AvailableMemory> Available(const NodeSet& nodes) = 0;
  // How much of the populated run the kernel gave as transparent huge pages; nullopt: not known.
  virtual std::optional<uint64_t> ThpBytes(const std::byte* at, uint64_t bytes) = 0;
};

// The real ones.
PageCalls& SystemPageCalls();

// What a refused mbind(2) means: kUsage where there is no such node, kOs for anything unheard of;
// where it is forbidden, a Fallback to first touch.
Result<Fallback> ExplainNoBinding(const NodeSet& nodes, int errnum);

// The kernel's mode for transparent huge pages: "always", "madvise", "never", or "" for none.
std::string ThpMode();

// What makes whole huge pages out of free memory.
inline constexpr char kCompactFix[] = "echo 1 | sudo tee /proc/sys/vm/compact_memory";

}  // namespace llmrun
