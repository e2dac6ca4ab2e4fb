#include "memory/limits.h"

#include <fmt/format.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "base/small_file.h"
#include "base/units.h"

namespace llmrun {
namespace {

// cgroup v1 says "no limit" by a number near 2^63.
constexpr uint64_t kUnlimitedBytes = uint64_t{1} << 62;
constexpr uint64_t kOvercommitNever = 2;  // of vm.overcommit_memory

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// The number after the word `key` in text like "Node 0 MemFree:  123 kB\nactive_file 456\n".
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view key) {
  for (size_t at = text.find(key); at != text.npos; at = text.find(key, at + 1)) {
    const bool word_begins = at == 0 || text[at - 1] == '\n' || text[at - 1] == ' ';
    const std::string_view rest = text.substr(at + key.size());
    const size_t digits = rest.find_first_not_of(": \t");
    if (!word_begins || digits == rest.npos || digits == 0) continue;
    return ParseNumber(rest.substr(digits));
  }
  return std::nullopt;
}

std::optional<uint64_t> FindKilobytes(std::string_view text, std::string_view key) {
  const std::optional<uint64_t> kilobytes = FindNumber(text, key);
  if (!kilobytes) return std::nullopt;
  return *kilobytes * kKiB;
}

// The hexadecimal number after `key`; 0 when there is none.
uint64_t FindHex(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  if (at == text.npos) return 0;
  const std::string_view rest = text.substr(at + key.size());
  uint64_t value = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), value, 16);
  return value;
}

// "/a/b" under "/sys/fs/cgroup" -> the directories of b, a and the mount itself. The path may name
// directories that are not visible here (no cgroup namespace); reading them then simply finds none.
std::vector<std::string> DirectoriesUpwards(const std::string& mount, std::string path) {
  std::vector<std::string> directories;
  while (path.size() > 1) {
    directories.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  directories.push_back(mount);
  return directories;
}

struct CgroupPaths {
  std::optional<std::string> unified;
  std::optional<std::string> v1_memory;
  std::optional<std::string> v1_cpu;
};

// Lines of /proc/self/cgroup: "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1).
CgroupPaths ParseCgroupPaths(std::string_view text) {
  CgroupPaths paths;
  while (!text.empty()) {
    const size_t line_end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, line_end);
    text.remove_prefix(std::min(line_end + 1, text.size()));
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos || second + 1 >= line.size() || line[second + 1] != '/') continue;
    const std::string path(line.substr(second + 1));
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    if (controllers == ",,") paths.unified = path;
    if (controllers.find(",memory,") != controllers.npos) paths.v1_memory = path;
    if (controllers.find(",cpu,") != controllers.npos) paths.v1_cpu = path;
  }
  return paths;
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

void LowerCpus(uint64_t quota_us, uint64_t period_us, Limits* limits) {
  if (period_us == 0) return;
  const uint64_t cpus = std::clamp<uint64_t>(quota_us / period_us, 1, 1 << 20);
  limits->quota_cpus = std::min(limits->quota_cpus.value_or(1 << 20), static_cast<int>(cpus));
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
  const std::string stat = ReadSmallFile(directory + "/memory.stat").value_or(std::string());
  const uint64_t cache = FindNumber(stat, files.inactive_file).value_or(0) +
                         FindNumber(stat, files.active_file).value_or(0);
  LowerMemory(*limit, used, cache, std::move(limit_path), limits);
}

// "150000 100000" or "max 100000".
void ReadCpuMax(const std::string& directory, Limits* limits) {
  const std::string text = ReadSmallFile(directory + "/cpu.max").value_or(std::string());
  const std::optional<uint64_t> quota_us = ParseNumber(text);
  const size_t space = text.find(' ');
  if (!quota_us || space == text.npos) return;
  LowerCpus(*quota_us, ParseNumber(std::string_view(text).substr(space + 1)).value_or(0), limits);
}

void ReadCfsQuota(const std::string& directory, Limits* limits) {
  const auto quota_us = ReadNumberFile(directory + "/cpu.cfs_quota_us");  // "-1" is no number
  const auto period_us = ReadNumberFile(directory + "/cpu.cfs_period_us");
  if (quota_us && period_us) LowerCpus(*quota_us, *period_us, limits);
}

void ReadCgroups(const LimitRoots& roots, Limits* limits) {
  const CgroupPaths paths =
      ParseCgroupPaths(ReadSmallFile(roots.proc + "/self/cgroup").value_or(std::string()));
  if (paths.unified) {
    const bool only_v2 = access((roots.cgroup + "/cgroup.controllers").c_str(), F_OK) == 0;
    const std::string mount = only_v2 ? roots.cgroup : roots.cgroup + "/unified";
    for (const std::string& directory : DirectoriesUpwards(mount, *paths.unified)) {
      ReadMemoryLimit(directory, kMemoryV2, limits);
      ReadCpuMax(directory, limits);
    }
  }
  if (paths.v1_memory) {
    for (const auto& directory : DirectoriesUpwards(roots.cgroup + "/memory", *paths.v1_memory)) {
      ReadMemoryLimit(directory, kMemoryV1, limits);
    }
  }
  if (paths.v1_cpu) {
    for (const auto& directory : DirectoriesUpwards(roots.cgroup + "/cpu", *paths.v1_cpu)) {
      ReadCfsQuota(directory, limits);
    }
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
  Limits limits{*total_bytes, *available_bytes, kMemAvailable, std::nullopt};
  ReadCgroups(roots, &limits);
  if (ReadNumberFile(roots.proc + "/sys/vm/overcommit_memory") == kOvercommitNever) {
    const std::optional<uint64_t> limit = FindKilobytes(meminfo, "CommitLimit");
    const std::optional<uint64_t> promised = FindKilobytes(meminfo, "Committed_AS");
    if (limit && promised) LowerMemory(*limit, *promised, 0, "vm.overcommit_memory=2", &limits);
  }
  return limits;
}

std::optional<uint64_t> LockableBytes(const LimitRoots& roots) {
  const std::string status =
      ReadSmallFile(roots.proc + "/thread-self/status").value_or(std::string());
  if ((FindHex(status, "CapEff:\t") >> CAP_IPC_LOCK & 1) != 0) return std::nullopt;
  const std::string limits =
      ReadSmallFile(roots.proc + "/thread-self/limits").value_or(std::string());
  const std::optional<uint64_t> limit = FindNumber(limits, "Max locked memory");
  if (!limit) return std::nullopt;  // "unlimited"
  return *limit - std::min(*limit, FindKilobytes(status, "VmLck").value_or(0));
}

std::optional<uint64_t> NodeAvailableBytes(unsigned node, const LimitRoots& roots) {
  const std::string meminfo =
      ReadSmallFile(fmt::format("{}/devices/system/node/node{}/meminfo", roots.sysfs, node))
          .value_or(std::string());
  const std::optional<uint64_t> free_bytes = FindKilobytes(meminfo, "MemFree");
  if (!free_bytes) return std::nullopt;
  // Memory that was added to a running machine may be missing from the node's account.
  if (ReadNumberFile(roots.sysfs + "/devices/system/node/has_memory") == node) {
    const std::string all = ReadSmallFile(roots.proc + "/meminfo").value_or(std::string());
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
