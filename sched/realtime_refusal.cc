#include "sched/realtime_refusal.h"

#include <fmt/format.h>
#include <linux/capability.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/small_file.h"
#include "memory/cgroup_paths.h"

namespace llmrun {
namespace {

// A capability that counts: those of a user namespace do not, nor does the root of one.
struct Privilege {
  bool in_user_namespace = false;
  bool capable = false;
};

Privilege ReadPrivilege(const LimitRoots& roots, std::string_view status) {
  // All ids of the first namespace: "0 0 4294967295".
  const std::string map = SmallFileOrEmpty(roots.proc + "/self/uid_map");
  const bool is_namespace =
      !map.empty() && map.find(fmt::to_string(std::numeric_limits<uint32_t>::max())) == map.npos;
  const uint64_t effective = FindHex(status, "CapEff:\t");
  return {is_namespace, (effective >> CAP_SYS_NICE & 1) != 0};
}

// Highest priority that RLIMIT_RTPRIO allows.
uint64_t AllowedPriority(const LimitRoots& roots) {
  const std::string limits = SmallFileOrEmpty(roots.proc + "/thread-self/limits");
  if (limits.empty()) return 0;
  // Otherwise it says "unlimited".
  return FindNumber(limits, "Max realtime priority").value_or(std::numeric_limits<uint64_t>::max());
}

// The file of this thread's group that gives real-time threads no time; nullopt: none does so.
// Where the group's path is not visible here, the mount shows the container's own group.
std::optional<std::string> GroupWithoutRuntime(const LimitRoots& roots) {
  for (const std::string& directory : FindCgroups(roots, "thread-self").v1_cpu) {
    const std::string path = directory + "/cpu.rt_runtime_us";
    const std::optional<uint64_t> runtime_us = ReadNumberFile(path);
    if (runtime_us) return *runtime_us == 0 ? std::optional(path) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

tl::unexpected<Error> RealtimeRefusal(const SchedPolicy& policy, const LimitRoots& roots) {
  const std::string wanted = fmt::format("--sched={}: refused (EPERM)", NameOf(policy));
  const std::string status = SmallFileOrEmpty(roots.proc + "/thread-self/status");
  const Privilege privilege = ReadPrivilege(roots, status);
  const uint64_t allowed = AllowedPriority(roots);
  const bool counts = privilege.capable && !privilege.in_user_namespace;
  if (!counts && allowed < static_cast<uint64_t>(policy.priority)) {
    return MakeFixableError(
        ErrorCode::kUnavailable,
        fmt::format(
            "ulimit -r {0} as root before the start, LimitRTPRIO={0} in the systemd unit, "
            "docker run --ulimit rtprio={0}{1}",
            policy.priority,
            privilege.in_user_namespace ? "" : ", or setcap cap_sys_nice+ep on the program"),
        "{}: RLIMIT_RTPRIO is {} here and {}", wanted, allowed,
        privilege.capable ? "CAP_SYS_NICE of a user namespace does not count"
                          : "there is no CAP_SYS_NICE");
  }
  if (const std::optional<std::string> group = GroupWithoutRuntime(roots)) {
    return MakeFixableError(
        ErrorCode::kUnavailable,
        fmt::format("echo 900000 > {} as root, in the groups above it first; docker run "
                    "--cpu-rt-runtime=900000",
                    *group),
        "{}: the cgroup gives real-time threads no time ({} is 0)", wanted, *group);
  }
  if (FindNumber(status, "Seccomp").value_or(0) != 0) {
    return MakeFixableError(
        ErrorCode::kUnavailable,
        "RestrictRealtime=no in the systemd unit, or a container profile that allows "
        "sched_setscheduler",
        "{}: limits and privileges allow it, so a seccomp filter of the service or container "
        "forbids it",
        wanted);
  }
  return MakeError(ErrorCode::kUnavailable,
                   "{}: limits and privileges allow it; a security module forbids it, or this is a "
                   "cgroup v2 under a kernel with CONFIG_RT_GROUP_SCHED, where only the root group "
                   "may have real-time threads",
                   wanted);
}

}  // namespace llmrun
