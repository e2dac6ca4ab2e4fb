#include "memory/hugepage_pool.h"

#include <dirent.h>

#include <algorithm>
#include <charconv>

#include "base/small_file.h"
#include "base/units.h"

namespace llmrun {
namespace {

// 2 PiB of 2M pages: what no machine has, and what cannot overflow.
constexpr uint64_t kMaxPages = uint64_t{1} << 30;

constexpr PageKind kPoolKinds[] = {PageKind::k2M, PageKind::k1G};

// ".../hugepages-2048kB"
std::string SizeDirectory(const std::string& parent, PageKind kind) {
  return fmt::format("{}/hugepages-{}kB", parent, PageBytes(kind) / kKiB);
}

std::string GlobalPool(const std::string& sysfs_root, PageKind kind) {
  return SizeDirectory(sysfs_root + "/kernel/mm/hugepages", kind);
}

std::string NodePool(const std::string& sysfs_root, unsigned node, PageKind kind) {
  return SizeDirectory(fmt::format("{}/devices/system/node/node{}/hugepages", sysfs_root, node),
                       kind);
}

// Ascending. Ids may have gaps.
std::vector<unsigned> NodeIds(const std::string& sysfs_root) {
  std::vector<unsigned> ids;
  DIR* directory = opendir((sysfs_root + "/devices/system/node").c_str());
  if (directory == nullptr) return ids;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    unsigned id = 0;
    if (!name.starts_with("node")) continue;
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + 4, end, id);
    if (error == std::errc() && rest == end) ids.push_back(id);
  }
  closedir(directory);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// A mapping's reservation is counted for all nodes together. Each node's free pages are lowered by
// its share of it, rounded up: rather too few than a page that somebody else was promised.
void SubtractReserved(uint64_t reserved, PageKind kind, std::vector<PoolStatus>* pools) {
  uint64_t all_free = 0;
  for (const PoolStatus& pool : *pools) all_free += pool.kind == kind ? pool.free_pages : 0;
  if (all_free == 0) return;
  for (PoolStatus& pool : *pools) {
    if (pool.kind != kind) continue;
    const uint64_t share = (reserved * pool.free_pages + all_free - 1) / all_free;
    pool.free_pages -= std::min(share, pool.free_pages);
  }
}

Result<PoolStatus> StatusOf(const PoolChange& change, const std::string& sysfs_root) {
  if (!IsHugetlb(change.kind)) {
    return MakeError(ErrorCode::kUsage, "{} pages have no pool; sizes are 2M and 1G",
                     NameOf(change.kind));
  }
  if (change.pages > kMaxPages) {
    return MakeError(ErrorCode::kUsage, "{} pages: at most {}", change.pages, kMaxPages);
  }
  ASSIGN_OR_RETURN(const std::vector<PoolStatus> pools, HugePoolStatus(sysfs_root));
  bool has_node = false;
  for (const PoolStatus& pool : pools) {
    if (pool.node == change.node && pool.kind == change.kind) return pool;
    has_node |= pool.node == change.node;
  }
  if (has_node) {
    return MakeError(ErrorCode::kUsage, "the kernel offers no {} pages", NameOf(change.kind));
  }
  return MakeError(ErrorCode::kUsage, "node {}: no such NUMA node, or no huge pages on it",
                   change.node);
}

Status WriteTotal(const PoolChange& change, uint64_t pages, std::string fix,
                  const std::string& sysfs_root) {
  const std::string path = NodePool(sysfs_root, change.node, change.kind) + "/nr_hugepages";
  const Status written = WriteSmallFile(path, fmt::format("{}\n", pages));
  if (written) return {};
  return MakeFixableError(ErrorCode::kOs, std::move(fix), "{}", written.error().message);
}

std::string SizeAndCount(const PoolChange& change) {
  return fmt::format("--size={} --count={} --node={}", NameOf(change.kind), change.pages,
                     change.node);
}

}  // namespace

Result<std::vector<PoolStatus>> HugePoolStatus(const std::string& sysfs_root) {
  std::vector<PoolStatus> pools;
  for (const unsigned node : NodeIds(sysfs_root)) {
    for (const PageKind kind : kPoolKinds) {
      const std::string directory = NodePool(sysfs_root, node, kind);
      const auto total_pages = ReadNumberFile(directory + "/nr_hugepages");
      const auto free_pages = ReadNumberFile(directory + "/free_hugepages");
      if (total_pages && free_pages) pools.push_back({node, kind, *total_pages, *free_pages});
    }
  }
  for (const PageKind kind : kPoolKinds) {
    const auto reserved = ReadNumberFile(GlobalPool(sysfs_root, kind) + "/resv_hugepages");
    SubtractReserved(reserved.value_or(0), kind, &pools);
  }
  return pools;
}

Result<uint64_t> ReserveHugePages(const PoolChange& change, const std::string& sysfs_root) {
  ASSIGN_OR_RETURN(const PoolStatus before, StatusOf(change, sysfs_root));
  PoolStatus now = before;
  // The second round follows a compaction: fragments become whole pages.
  for (int round = 0; round < 2 && now.free_pages < change.pages; ++round) {
    if (round == 1) {
      // Best effort: without it the round finds what it finds.
      (void)WriteSmallFile(
          fmt::format("{}/devices/system/node/node{}/compact", sysfs_root, change.node), "1");
    }
    const uint64_t wanted_total = now.total_pages + (change.pages - now.free_pages);
    RETURN_IF_ERROR(WriteTotal(change, wanted_total, ReserveCommand(change), sysfs_root));
    ASSIGN_OR_RETURN(now, StatusOf(change, sysfs_root));
  }
  if (now.free_pages < change.pages) {
    return MakeFixableError(
        ErrorCode::kResource,
        fmt::format("free memory on the node, or boot with hugepagesz={} hugepages={}",
                    NameOf(change.kind), now.total_pages + (change.pages - now.free_pages)),
        "node {}: {} free {} pages wanted, the kernel gave {}", change.node, change.pages,
        NameOf(change.kind), now.free_pages);
  }
  return now.total_pages - std::min(now.total_pages, before.total_pages);
}

Result<uint64_t> ReleaseHugePages(const PoolChange& change, const std::string& sysfs_root) {
  ASSIGN_OR_RETURN(const PoolStatus before, StatusOf(change, sysfs_root));
  const uint64_t pages = std::min(change.pages, before.free_pages);
  if (pages == 0) return 0;
  RETURN_IF_ERROR(WriteTotal(change, before.total_pages - pages,
                             "sudo llm-run hugepages release " + SizeAndCount(change), sysfs_root));
  ASSIGN_OR_RETURN(const PoolStatus after, StatusOf(change, sysfs_root));
  return before.total_pages - std::min(before.total_pages, after.total_pages);
}

std::string ReserveCommand(const PoolChange& change) {
  return "sudo llm-run hugepages reserve " + SizeAndCount(change);
}

std::string ReserveCommand(const NodeSet& nodes, PageKind kind, uint64_t pages) {
  if (nodes.empty()) return ReserveCommand({0, kind, pages});
  std::string commands;
  for (const unsigned node : nodes) {
    if (!commands.empty()) commands += " && ";
    commands += ReserveCommand({node, kind, (pages + nodes.size() - 1) / nodes.size()});
  }
  return commands;
}

}  // namespace llmrun
