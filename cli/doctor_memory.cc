#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/small_file.h"
#include "base/units.h"
#include "cli/doctor.h"
#include "memory/hugepage_pool.h"
#include "memory/limits.h"

namespace llmrun {
namespace {

Check Memory() {
  const Result<Limits> limits = ReadLimits();
  if (!limits) return {"memory", CheckLevel::kFail, limits.error().OneLine(), ""};
  std::string found =
      fmt::format("{} of {} available (limit: {})", FormatBytes(limits->available_bytes),
                  FormatBytes(limits->total_bytes), limits->available_source);
  if (limits->available_bytes < kGiB) {
    return {"memory", CheckLevel::kWarn, found, "end other programs, or raise the cgroup's limit"};
  }
  return {"memory", CheckLevel::kOk, found, ""};
}

Check Nodes(const Machine& machine) {
  std::string found =
      fmt::format("{} node{}:", machine.nodes.size(), machine.nodes.size() == 1 ? "" : "s");
  for (const NumaNode& node : machine.nodes) {
    const size_t cpus = CpusOf(machine, node.os_index).size();
    found += fmt::format(
        " {}{}{} has {} free of {} and {};", node.os_index, node.kind.empty() ? "" : " ", node.kind,
        FormatBytes(node.free_bytes), FormatBytes(node.total_bytes),
        cpus == 0 ? "no CPUs" : fmt::format("{} CPU{}", cpus, cpus == 1 ? "" : "s"));
  }
  found.pop_back();
  const uint64_t balancing = ReadNumberFile("/proc/sys/kernel/numa_balancing").value_or(0);
  if (machine.nodes.size() > 1 && balancing != 0) {
    return {"numa", CheckLevel::kWarn,
            found + "; the kernel's balancing moves pages and unmaps them to look",
            "sudo sysctl kernel.numa_balancing=0"};
  }
  return {"numa", CheckLevel::kOk, found, ""};
}

// Populating ahead is what turns a missing page into an error instead of a SIGBUS.
Check Populate() {
  const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return {"populate", CheckLevel::kFail, std::strerror(errno), ""};
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14
  const int error = madvise(page, size, kPopulateWrite) == 0 ? 0 : errno;
  munmap(page, size);
  if (error == 0) return {"populate", CheckLevel::kOk, "MADV_POPULATE_WRITE works", ""};
  return {
      "populate", CheckLevel::kWarn,
      fmt::format("MADV_POPULATE_WRITE: {}; pages are touched one by one", std::strerror(error)),
      "Linux 5.14 or later"};
}

Check LockedMemory() {
  rlimit limit = {};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_cur == RLIM_INFINITY) return {"memlock", CheckLevel::kOk, "unlimited", ""};
  std::string found = FormatBytes(limit.rlim_cur);
  if (geteuid() == 0) return {"memlock", CheckLevel::kOk, found + ", not binding for root", ""};
  return {"memlock", CheckLevel::kWarn, found + ": --mlock cannot lock more",
          "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit"};
}

Check Pool(const Machine& machine, PageKind kind, bool supported) {
  const std::string name = fmt::format("{} pages", NameOf(kind));
  if (!supported) return {name, CheckLevel::kWarn, "not offered by this kernel or processor", ""};
  std::string found;
  uint64_t free_pages = 0;
  for (const NumaNode& node : machine.nodes) {
    const HugePool& pool = kind == PageKind::k1G ? node.pool_1g : node.pool_2m;
    free_pages += pool.free_pages;
    found += fmt::format("{}node {}: {} free of {}", found.empty() ? "" : ", ", node.os_index,
                         pool.free_pages, pool.total_pages);
  }
  if (free_pages > 0) return {name, CheckLevel::kOk, found, ""};
  return {name, CheckLevel::kWarn, found,
          fmt::format("sudo llm-run hugepages reserve --size={} -m MODEL.gguf", NameOf(kind))};
}

Check Thp(const Machine& machine) {
  const std::string& mode = machine.thp_mode;
  if (mode == "always" || mode == "madvise") return {"thp", CheckLevel::kOk, mode, ""};
  if (mode.empty()) return {"thp", CheckLevel::kWarn, "not in this kernel", ""};
  return {"thp", CheckLevel::kWarn, mode + ": weights outside the pools get 4K pages",
          "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"};
}

}  // namespace

void CheckMemory(const Machine& machine, Checks& checks) {
  checks.push_back(Memory());
  checks.push_back(Nodes(machine));
  checks.push_back(Populate());
  checks.push_back(LockedMemory());
}

void CheckHugePages(const Machine& machine, Checks& checks) {
  checks.push_back(Pool(machine, PageKind::k1G, machine.supports_1g));
  checks.push_back(Pool(machine, PageKind::k2M, machine.supports_2m));
  checks.push_back(Thp(machine));
}

}  // namespace llmrun
