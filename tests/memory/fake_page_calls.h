// A machine for the ladder to fail on: pools, a node and permissions as the test wants them. The
// memory itself is ordinary and untouched, so that tiles of 1G cost nothing.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "memory/page_calls.h"

namespace llmrun {

class FakePageCalls final : public PageCalls {
 public:
  std::map<PageKind, uint64_t> pool;        // free pages on all nodes
  std::map<PageKind, uint64_t> node_pages;  // what populating gives, where it gives less; also what
                                            // FreePages() says of nodes
  std::set<PageKind> unknown_kinds;         // EINVAL
  std::set<PageKind> stolen_kinds;          // ENOMEM, whatever the pool says
  std::map<PageKind, int> populate_errnum;  // fails at once
  bool thp_off = false;
  int bind_errnum = 0;
  std::optional<AvailableMemory> available;
  std::optional<uint64_t> thp_bytes;
  NodeSet bound_nodes;
  int map_calls = 0;

  int Map(std::byte* at, uint64_t bytes, PageKind kind) override {
    ++map_calls;
    if (unknown_kinds.contains(kind)) return EINVAL;
    if (stolen_kinds.contains(kind)) return ENOMEM;
    if (kind == PageKind::kThp && thp_off) return EOPNOTSUPP;
    if (IsHugetlb(kind)) {
      if (bytes / PageBytes(kind) > pool[kind]) return ENOMEM;
      pool[kind] -= bytes / PageBytes(kind);
    }
    last_kind_ = kind;
    return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : errno;
  }

  int Unmap(std::byte* at, uint64_t bytes) override {
    if (IsHugetlb(last_kind_)) pool[last_kind_] += bytes / PageBytes(last_kind_);
    return mprotect(at, bytes, PROT_NONE) == 0 ? 0 : errno;
  }

  int Bind(std::byte*, uint64_t, const NodeSet& nodes) override {
    if (bind_errnum == 0) bound_nodes = nodes;
    return bind_errnum;
  }

  int Populate(std::byte*, uint64_t bytes, PageKind kind) override {
    const std::lock_guard lock(mutex_);
    if (populate_errnum.contains(kind)) return populate_errnum[kind];
    if (!node_pages.contains(kind)) return 0;
    const uint64_t pages = bytes / PageBytes(kind);
    if (pages > node_pages[kind]) return EFAULT;  // as hugetlb says "would have been SIGBUS"
    node_pages[kind] -= pages;
    return 0;
  }

  uint64_t FreePages(PageKind kind, const NodeSet& nodes) override {
    return !nodes.empty() && node_pages.contains(kind) ? node_pages[kind] : pool[kind];
  }
  std::optional<AvailableMemory> Available(const NodeSet&) override { return available; }
  std::optional<uint64_t> ThpBytes(const std::byte*, uint64_t) override { return thp_bytes; }

 private:
  std::mutex mutex_;
  PageKind last_kind_ = PageKind::k4K;
};

}  // namespace llmrun
