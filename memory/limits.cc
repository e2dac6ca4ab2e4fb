#include "memory/limits.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/small_file.h"
#include "base/units.h"
#include "memory/cgroup_paths.h"

namespace llmrun {
namespace {

// cgroup v1 says "no limit" by a number near 2^63.
constexpr uint64_t kUnlimitedBytes = uint64_t{1} << 62;
constexpr uint64_t kOvercommitNever = 2;  // of vm.overcommit_memory

std::optional<uint64_t> FindKilobytes(std::string_view text, std::string_view key) {
  const std::optional<uint64_t> kilobytes = FindNumber(text, key);
  if (!kilobytes) return std::nullopt;
  return *kilobytes * kKiB;
}

void LowerMemory(uint64_t limit, uint64_t used, uint64_t reclaimable, std::string source,
                 Limits* limits) {
  if (limit >= kUnlimitedBytes) return;
  const uint64_t held = used - std::min(used, reclaimable);
  const uint64_t left = limit - std::min(limit, held);
  if (left >= limits->available_bytes) return;
  limits->available_bytes = left;
  limits->available_source = std::move(source);
}

// The names under which one version of cgroups keeps its memory limit.
struct MemoryFiles {
  std::string_view limit;
  std::string_view usage;
  std::string_view inactive_file;
  std::string_view active_file;
};
constexpr MemoryFiles kMemoryV2 = {"/memory.max", "/memory.current", "inactive_file",
                                   "active_file"};
constexpr MemoryFiles kMemoryV1 = {"/memory.limit_in_bytes", "/memory.usage_in_bytes",
                                   "total_inactive_file", "total_active_file"};

void ReadMemoryLimit(const std::string& directory, const MemoryFiles& files, Limits* limits) {
  std::string limit_path = directory + std::string(files.limit);
  const std::optional<uint64_t> limit = ReadNumberFile(limit_path);  // "max" is no number
  if (!limit) return;
  const uint64_t used = ReadNumberFile(directory + std::string(files.usage)).value_or(0);
  const std::string stat = SmallFileOrEmpty(directory + "/memory.stat");
  const uint64_t cache = FindNumber(stat, files.inactive_file).value_or(0) +
                         FindNumber(stat, files.active_file).value_or(0);
  LowerMemory(*limit, used, cache, std::move(limit_path), limits);
}

void ReadCgroups(const LimitRoots& roots, Limits* limits) {
  const CgroupDirectories groups = FindCgroups(roots);
  for (const std::string& directory : groups.unified) {
    ReadMemoryLimit(directory, kMemoryV2, limits);
  }
  for (const std::string& directory : groups.v1_memory) {
    ReadMemoryLimit(directory, kMemoryV1, limits);
  }
}

}  // namespace

Result<Limits> ReadLimits(const LimitRoots& roots) {
  const std::string path = roots.proc + "/meminfo";
  ASSIGN_OR_RETURN(const std::string meminfo, ReadSmallFile(path));
  const std::optional<uint64_t> total_bytes = FindKilobytes(meminfo, "MemTotal");
  const std::optional<uint64_t> available_bytes = FindKilobytes(meminfo, "MemAvailable");
  if (!total_bytes || !available_bytes) {
    return MakeError(ErrorCode::kOs, "{}: no MemTotal and MemAvailable in it", path);
  }
  Limits limits{*total_bytes, *available_bytes, kMemAvailable};
  ReadCgroups(roots, &limits);
  if (ReadNumberFile(roots.proc + "/sys/vm/overcommit_memory") == kOvercommitNever) {
    const std::optional<uint64_t> limit = FindKilobytes(meminfo, "CommitLimit");
    const std::optional<uint64_t> promised = FindKilobytes(meminfo, "Committed_AS");
    if (limit && promised) LowerMemory(*limit, *promised, 0, "vm.overcommit_memory=2", &limits);
  }
  return limits;
}

std::optional<uint64_t> LockableBytes(const LimitRoots& roots) {
  const std::string status = SmallFileOrEmpty(roots.proc + "/thread-self/status");
  if ((FindHex(status, "CapEff:\t") >> CAP_IPC_LOCK & 1) != 0) return std::nullopt;
  const std::string limits = SmallFileOrEmpty(roots.proc + "/thread-self/limits");
  const std::optional<uint64_t> limit = FindNumber(limits, "Max locked memory");
  if (!limit) return std::nullopt;  // "unlimited"
  return *limit - std::min(*limit, FindKilobytes(status, "VmLck").value_or(0));
}

std::optional<uint64_t> NodeAvailableBytes(unsigned node, const LimitRoots& roots) {
  const std::string meminfo =
      SmallFileOrEmpty(fmt::format("{}/devices/system/node/node{}/meminfo", roots.sysfs, node));
  const std::optional<uint64_t> free_bytes = FindKilobytes(meminfo, "MemFree");
  if (!free_bytes) return std::nullopt;
  // Memory that was added to a running machine may be missing from the node's account.
  if (ReadNumberFile(roots.sysfs + "/devices/system/node/has_memory") == node) {
    const std::string all = SmallFileOrEmpty(roots.proc + "/meminfo");
    if (const auto available_bytes = FindKilobytes(all, "MemAvailable")) return available_bytes;
  }
  const uint64_t reclaimable_bytes = FindKilobytes(meminfo, "Active(file)").value_or(0) +
                                     FindKilobytes(meminfo, "Inactive(file)").value_or(0) +
                                     FindKilobytes(meminfo, "SReclaimable").value_or(0);
  const uint64_t kept_bytes = FindKilobytes(meminfo, "MemTotal").value_or(0) / 64;
  const uint64_t bytes = *free_bytes + reclaimable_bytes;
  return bytes - std::min(bytes, kept_bytes);
}

}  // namespace llmrun
