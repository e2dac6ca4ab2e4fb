#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "base/small_file.h"
#include "cli/doctor.h"
#include "cli/engine.h"
#include "compute/kernels.h"
#include "memory/cpu_limits.h"
#include "sched/monitor_wait.h"

namespace llmrun {
namespace {

Check Isa(const Machine& machine) {
  const Result<IsaLevel> isa = WantedIsa();
  if (!isa) return {"cpu", CheckLevel::kFail, isa.error().message, "unset LLM_RUN_ISA"};
  const Result<IsaLevel> best = ChooseIsa("");
  std::string found = fmt::format("{}, kernels: {}", machine.cpu_model, NameOf(*isa));
  if (best && *best != *isa) {
    return {"cpu", CheckLevel::kWarn,
            fmt::format("{} (LLM_RUN_ISA; {} is possible)", found, NameOf(*best)),
            "unset LLM_RUN_ISA"};
  }
  if (*isa == IsaLevel::kPortable) {
    return {"cpu", CheckLevel::kWarn, found + "; the processor has no AVX2", ""};
  }
  return {"cpu", CheckLevel::kOk, found, ""};
}

Check CpuCounts(const Machine& machine) {
  std::set<unsigned> cores;
  std::set<unsigned> l3_domains;
  std::map<int, size_t> kinds;
  for (const Cpu& cpu : machine.cpus) {
    cores.insert(cpu.core);
    l3_domains.insert(cpu.l3);
    ++kinds[cpu.efficiency];
  }
  const auto online = static_cast<size_t>(sysconf(_SC_NPROCESSORS_ONLN));
  std::string found = fmt::format("{} online, {} of them allowed on {} cores in {} L3 domain{}",
                                  online, machine.cpus.size(), cores.size(), l3_domains.size(),
                                  l3_domains.size() == 1 ? "" : "s");
  if (kinds.size() > 1) {
    found +=
        fmt::format(", of {} kinds: {} are the strongest", kinds.size(), kinds.rbegin()->second);
  }
  const CpuLimits limits = ReadCpuLimits();
  if (limits.quota_cpus && static_cast<size_t>(*limits.quota_cpus) < machine.cpus.size()) {
    return {"cpus", CheckLevel::kWarn,
            fmt::format("{}; the cgroup grants the time of {}", found, machine.effective_cpus),
            "raise cpu.max of the cgroup (docker: --cpus)"};
  }
  return {"cpus", CheckLevel::kOk, found, ""};
}

Check Governor() {
  const Result<std::string> text =
      ReadSmallFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (!text)
    return {"governor", CheckLevel::kOk, "the kernel does not manage frequencies here", ""};
  const std::string governor = text->substr(0, text->find('\n'));
  if (governor == "performance" || governor == "schedutil") {
    return {"governor", CheckLevel::kOk, governor, ""};
  }
  return {"governor", CheckLevel::kWarn, governor + ": clocks rise late under load",
          "sudo cpupower frequency-set -g performance"};
}

Check Waiting() {
  return {"waiting", CheckLevel::kOk,
          fmt::format("threads wait by {}, then on a futex", NameOfMonitorWait()), ""};
}

// What the loader relies on is in Linux 5.14 (MADV_POPULATE_WRITE) and 5.15.
Check Kernel() {
  utsname names = {};
  uname(&names);
  const std::string release = names.release;
  unsigned major = 0;
  unsigned minor = 0;
  const char* end = release.data() + release.size();
  const auto dot = std::from_chars(release.data(), end, major);
  if (dot.ptr != end) std::from_chars(dot.ptr + 1, end, minor);
  if (major > 5 || (major == 5 && minor >= 15)) {
    return {"kernel", CheckLevel::kOk, "Linux " + release, ""};
  }
  return {"kernel", CheckLevel::kWarn, "Linux " + release + ": 5.15 or later is what is tested",
          "upgrade the kernel"};
}

}  // namespace

std::string_view NameOf(CheckLevel level) {
  switch (level) {
    case CheckLevel::kOk:
      return "ok";
    case CheckLevel::kWarn:
      return "warn";
    case CheckLevel::kFail:
      return "fail";
  }
  return "";
}

void CheckProcessor(const Machine& machine, Checks& checks) {
  checks.push_back(Kernel());
  checks.push_back(Isa(machine));
  checks.push_back(CpuCounts(machine));
  checks.push_back(Governor());
  checks.push_back(Waiting());
}

}  // namespace llmrun
