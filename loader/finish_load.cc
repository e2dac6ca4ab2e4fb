// The end of a load: what its threads left is waited for, sealed, and looked at.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.h"
#include "loader/weights_impl.h"
#include "memory/move_pages.h"
#include "memory/residency.h"

namespace llmrun {
namespace {

// What reading a header may bring into the page cache, read-ahead included.
constexpr uint64_t kHeaderReadBytes = 2 * kMiB;

// Outside this node, or outside the one that holds most.
uint64_t RemoteBytes(std::optional<unsigned> node, const Residency& found) {
  uint64_t home_bytes = 0;
  for (const auto& [at, bytes] : found.node_bytes) {
    if (node) {
      if (static_cast<unsigned>(at) == *node) home_bytes = bytes;
    } else {
      home_bytes = std::max(home_bytes, bytes);
    }
  }
  return found.PlacedBytes() - home_bytes;
}

std::vector<PageTile> TilesByKind(const PlacementPlan& plan) {
  std::vector<PageTile> kinds;
  for (const ArenaPlan& arena : plan.arenas) {
    for (const PageTile& tile : arena.tiles) {
      const auto same = std::ranges::find(kinds, tile.kind, &PageTile::kind);
      if (same == kinds.end()) {
        kinds.push_back(tile);
      } else {
        same->bytes += tile.bytes;
      }
    }
  }
  return kinds;
}

}  // namespace

Status Weights::Impl::CheckIntact() const {
  for (uint32_t file = 0; file < mappings.size(); ++file) {
    const std::optional<uint64_t> missing = mappings[file].FirstMissing();
    if (!missing) continue;
    std::string_view name = "(none)";
    for (const IndexedTensor& tensor : index.tensors()) {
      const FileExtent& extent = tensor.extent;
      if (extent.file == file && extent.offset + extent.bytes > *missing) {
        name = tensor.name;
        break;
      }
    }
    return MakeFixableError(ErrorCode::kBadData,
                            "restore the file; a loader other than mmap keeps weights of its own",
                            "{}: the file became shorter while it was in use: tensor '{}' is gone "
                            "from byte {} on",
                            files[file].label, name, *missing);
  }
  return {};
}

Status Weights::Impl::SealAndLock() {
  bool pools_only = !arenas.empty();
  for (Arena& arena : arenas) {
    RETURN_IF_ERROR(arena.Seal());
    if (options.mlock) RETURN_IF_ERROR(arena.Lock());
    pools_only &=
        std::ranges::all_of(arena.got(), [](const PageTile& tile) { return IsHugetlb(tile.kind); });
  }
  if (options.mlock && pools_only) {
    report.fallbacks.push_back({.wanted = "weights locked in memory",
                                .got = "nothing to lock",
                                .why = "pages of the hugetlb pools are never swapped",
                                .fix = "leave --mlock out"});
  }
  for (const MappedFile& mapping : mappings) {
    if (options.mlock) RETURN_IF_ERROR(mapping.Lock());
  }
  return {};
}

Status Weights::Impl::GatherEvidence() {
  report.wanted_pages = TilesByKind(plan);
  for (size_t i = 0; i < arenas.size(); ++i) {
    const std::span<const std::byte> range(arenas[i].data(), arenas[i].size_bytes());
    const NodeSet& nodes = plan.arenas[i].nodes;
    ASSIGN_OR_RETURN(Residency found, InspectRange(range));
    const uint64_t astray_bytes = OnlyNode(nodes) ? RemoteBytes(OnlyNode(nodes), found) : 0;
    if (astray_bytes > 0 && MoveToNode(range, *OnlyNode(nodes))) {
      ASSIGN_OR_RETURN(found, InspectRange(range));
      report.moved_bytes +=
          astray_bytes - std::min(astray_bytes, RemoteBytes(OnlyNode(nodes), found));
    }
    report.residency += found;
    report.remote_bytes += RemoteBytes(OnlyNode(nodes), found);
    if (!nodes.empty()) CheckPlacement(nodes, found);
  }
  Residency mapped;
  for (const MappedFile& mapping : mappings) {
    ASSIGN_OR_RETURN(const Residency found, InspectRange(mapping.bytes()));
    mapped += found;
  }
  report.residency += mapped;
  if (plan.mapped) {
    report.remote_bytes += RemoteBytes(OnlyNode(plan.nodes), mapped);
    if (!plan.nodes.empty()) CheckPlacement(plan.nodes, mapped);
  }
  return {};
}

// What the kernel did otherwise than it was told: pages of an interleaved range come from another
// node when one is full, and without a word.
void Weights::Impl::CheckPlacement(const NodeSet& nodes, const Residency& found) {
  const uint64_t all_bytes = found.PlacedBytes();
  if (all_bytes == 0) return;  // the kernel does not tell
  // Turns go round the last page of each kind, and a percent is within what sampling sees.
  uint64_t slack_bytes = all_bytes / 100 + PageBytes(PageKind::k4K);
  if (found.bytes_thp > 0) slack_bytes += PageBytes(PageKind::kThp);
  if (found.bytes_2m > 0) slack_bytes += PageBytes(PageKind::k2M);
  if (found.bytes_1g > 0) slack_bytes += PageBytes(PageKind::k1G);
  uint64_t astray_bytes = 0;
  if (plan.mapped) {
    // In the page cache turns are a thread's, which it spends on other pages, too; and the header
    // was read before, with some of what lies behind it.
    slack_bytes += all_bytes / 4;
    astray_bytes = all_bytes / 20 + kHeaderReadBytes;
  }
  bool as_told = true;
  std::string shares;
  for (const auto& [node, bytes] : found.node_bytes) {
    const bool wanted = std::ranges::count(nodes, static_cast<unsigned>(node)) > 0;
    as_told &= bytes <= (wanted ? all_bytes / nodes.size() + slack_bytes : astray_bytes);
    shares += fmt::format("{}{:.1f}% on node {}", shares.empty() ? "" : ", ",
                          100 * static_cast<double>(bytes) / static_cast<double>(all_bytes), node);
  }
  if (as_told) return;
  Fallback found_elsewhere{
      .wanted = fmt::format("weights {} {}", nodes.size() == 1 ? "on" : "evenly on", NameOf(nodes)),
      .got = shares,
      .why = "a node ran out of free memory",
      .fix = "free memory on that node"};
  if (plan.mapped) {
    found_elsewhere.why = "pages that were cached before stay where they are";
    found_elsewhere.fix =
        fmt::format("llm-run cache warm --numa={} {}, or --loader=io_uring",
                    nodes.size() == 1 ? fmt::format("bind:{}", nodes.front()) : "interleave",
                    files.front().label);
  } else if (nodes.size() == 1) {
    found_elsewhere.why = "the kernel did not bind them";
    found_elsewhere.fix = "allow mbind, e.g. docker run --cap-add=SYS_NICE";
  }
  report.fallbacks.push_back(std::move(found_elsewhere));
}

Result<LoadReport> Weights::Impl::Finish() {
  loading_thread.join();
  if (load_error) return tl::unexpected<Error>(*load_error);
  for (const ModelFile& file : files) {
    if (!file.fd.valid()) continue;  // a stream
    Status unchanged = CheckUnchanged(file);
    if (!unchanged) {
      gate->Fail(unchanged.error());
      return tl::unexpected<Error>(std::move(unchanged).error());
    }
  }
  if (verifier) {
    const Stopwatch waiting;
    RETURN_IF_ERROR(verifier->Finish());
    RETURN_IF_ERROR(CheckIntact());
    report.hash_seconds = waiting.Seconds();
    report.hashed = options.hash;
    if (options.hash) report.xxh3 = verifier->xxh3();
    verifier.reset();
  }
  packer.reset();
  RETURN_IF_ERROR(SealAndLock());
  RETURN_IF_ERROR(GatherEvidence());
  return report;
}

}  // namespace llmrun
