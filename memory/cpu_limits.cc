#include "memory/cpu_limits.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/small_file.h"
#include "memory/cgroup_paths.h"
#include "memory/cpu_list.h"

namespace llmrun {
namespace {

constexpr uint64_t kManyCpus = 1 << 20;

void LowerQuota(uint64_t quota_us, uint64_t period_us, CpuLimits* limits) {
  if (period_us == 0) return;
  const auto cpus = static_cast<int>(std::clamp<uint64_t>(quota_us / period_us, 1, kManyCpus));
  limits->quota_cpus = std::min(limits->quota_cpus.value_or(cpus), cpus);
}

// "150000 100000" or "max 100000".
void ReadCpuMax(const std::string& directory, CpuLimits* limits) {
  const std::string text = SmallFileOrEmpty(directory + "/cpu.max");
  const std::optional<uint64_t> quota_us = ParseNumber(text);
  const size_t space = text.find(' ');
  if (!quota_us || space == text.npos) return;
  LowerQuota(*quota_us, ParseNumber(std::string_view(text).substr(space + 1)).value_or(0), limits);
}

void ReadCfsQuota(const std::string& directory, CpuLimits* limits) {
  const auto quota_us = ReadNumberFile(directory + "/cpu.cfs_quota_us");  // "-1" is no number
  const auto period_us = ReadNumberFile(directory + "/cpu.cfs_period_us");
  if (quota_us && period_us) LowerQuota(*quota_us, *period_us, limits);
}

// Groups above us are stopped with their own quotas: whoever was stopped most counts.
void ReadThrottling(const std::string& directory, std::string_view time_key, double unit_s,
                    CpuLimits* limits) {
  const std::string stat = SmallFileOrEmpty(directory + "/cpu.stat");
  const uint64_t periods = FindNumber(stat, "nr_throttled").value_or(0);
  if (periods <= limits->throttled_periods) return;
  limits->throttled_periods = periods;
  limits->throttled_seconds = static_cast<double>(FindNumber(stat, time_key).value_or(0)) * unit_s;
}

// The innermost group that says so; those above it allow at least as much.
void ReadCpuset(const std::string& path, CpuLimits* limits) {
  if (limits->cpuset) return;
  std::string text = SmallFileOrEmpty(path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (Result<std::vector<unsigned>> cpus = ParseCpuList(text)) limits->cpuset = *std::move(cpus);
}

}  // namespace

CpuLimits ReadCpuLimits(const LimitRoots& roots) {
  CpuLimits limits;
  const CgroupDirectories groups = FindCgroups(roots);
  for (const std::string& directory : groups.unified) {
    ReadCpuMax(directory, &limits);
    ReadThrottling(directory, "throttled_usec", 1e-6, &limits);
    ReadCpuset(directory + "/cpuset.cpus.effective", &limits);
  }
  for (const std::string& directory : groups.v1_cpu) {
    ReadCfsQuota(directory, &limits);
    ReadThrottling(directory, "throttled_time", 1e-9, &limits);
  }
  for (const std::string& directory : groups.v1_cpuset) {
    ReadCpuset(directory + "/cpuset.effective_cpus", &limits);
  }
  return limits;
}

}  // namespace llmrun
