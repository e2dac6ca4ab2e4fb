#include "sched/sched_policy.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/small_file.h"
#include "sched/realtime_refusal.h"

namespace llmrun {
namespace {

struct KnownPolicy {
  SchedKind kind;
  int number;  // the kernel's
  std::string_view name;
};
constexpr KnownPolicy kPolicies[] = {
    {SchedKind::kOther, SCHED_OTHER, "other"}, {SchedKind::kBatch, SCHED_BATCH, "batch"},
    {SchedKind::kIdle, SCHED_IDLE, "idle"},    {SchedKind::kFifo, SCHED_FIFO, "fifo"},
    {SchedKind::kRr, SCHED_RR, "rr"},
};

const KnownPolicy& Known(SchedKind kind) {
  return *std::ranges::find(kPolicies, kind, &KnownPolicy::kind);
}

// A sleep and the wake-up that ends it cost about so much at worst: who spins as long as that
// before sleeping loses at most twice the least that can be lost (Karlin et al. 1991). To spin
// longer helps little, and a real-time thread that spins keeps everybody else off its CPU, perhaps
// the very thread that it waits for.
constexpr uint32_t kMostRealtimeSpinNs = 50'000;

std::optional<int64_t> ReadSignedFile(const std::string& path) {
  const std::string text = SmallFileOrEmpty(path);
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

tl::unexpected<Error> Unknown(std::string_view text) {
  return MakeError(ErrorCode::kUsage,
                   "--sched={}: expected other, batch, idle, fifo, rr, fifo:N or rr:N", text);
}

Result<int> ParsePriority(std::string_view text, std::string_view number, int policy) {
  const int least = ::sched_get_priority_min(policy);
  const int most = ::sched_get_priority_max(policy);
  int priority = 0;
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, priority);
  if (error == std::errc() && stop == end && priority >= least && priority <= most) return priority;
  return MakeError(ErrorCode::kUsage, "--sched={}: priority '{}', expected {} to {}", text, number,
                   least, most);
}

// EPERM for a policy that everybody may have: from idle there is no way back, or the thread is
// somebody else's, or a filter forbids the call.
tl::unexpected<Error> OrdinaryRefusal(pid_t thread_id, const SchedPolicy& policy) {
  if (PolicyOf(thread_id) != SchedPolicy{SchedKind::kIdle}) {
    return OsError(EPERM, "sched_setscheduler to " + NameOf(policy));
  }
  return MakeFixableError(ErrorCode::kUnavailable, "ulimit -e 20, as root, before the start",
                          "--sched={}: refused (EPERM): an idle thread stays idle without "
                          "CAP_SYS_NICE or a sufficient RLIMIT_NICE",
                          NameOf(policy));
}

}  // namespace

Result<SchedPolicy> ParseSchedPolicy(std::string_view text) {
  if (text == "deadline") {
    return MakeFixableError(
        ErrorCode::kUnavailable, "--sched=fifo",
        "--sched=deadline: not for threads that are pinned: SCHED_DEADLINE reserves a runtime in "
        "each period for each thread, and wants it free to run on all CPUs of its root domain");
  }
  const size_t colon = text.find(':');
  const auto* known = std::ranges::find(kPolicies, text.substr(0, colon), &KnownPolicy::name);
  if (known == std::end(kPolicies)) return Unknown(text);
  SchedPolicy policy{known->kind};
  if (IsRealtime(policy)) policy.priority = ::sched_get_priority_min(known->number);
  if (colon == text.npos) return policy;
  if (!IsRealtime(policy)) return Unknown(text);
  ASSIGN_OR_RETURN(policy.priority, ParsePriority(text, text.substr(colon + 1), known->number));
  return policy;
}

std::string NameOf(const SchedPolicy& policy) {
  const std::string_view name = Known(policy.kind).name;
  if (!IsRealtime(policy)) return std::string(name);
  return fmt::format("{}:{}", name, policy.priority);
}

Status ApplySchedPolicy(pid_t thread_id, const SchedPolicy& policy) {
  const int before = ::sched_getscheduler(thread_id);
  if (before < 0) return OsError(errno, "sched_getscheduler");
  const int reset = IsRealtime(policy) ? SCHED_RESET_ON_FORK : before & SCHED_RESET_ON_FORK;
  sched_param parameters = {};
  parameters.sched_priority = policy.priority;
  if (::sched_setscheduler(thread_id, Known(policy.kind).number | reset, &parameters) == 0) {
    return {};
  }
  const int errnum = errno;
  if (errnum != EPERM) return OsError(errnum, "sched_setscheduler to " + NameOf(policy));
  if (IsRealtime(policy)) return RealtimeRefusal(policy);
  return OrdinaryRefusal(thread_id, policy);
}

Result<SchedPolicy> PolicyOf(pid_t thread_id) {
  const int number = ::sched_getscheduler(thread_id);
  sched_param parameters = {};
  if (number < 0 || ::sched_getparam(thread_id, &parameters) != 0) {
    return OsError(errno, "sched_getscheduler");
  }
  const auto* known =
      std::ranges::find(kPolicies, number & ~SCHED_RESET_ON_FORK, &KnownPolicy::number);
  if (known == std::end(kPolicies)) {
    return MakeError(ErrorCode::kUnavailable,
                     "this thread runs under scheduling policy {} (sched.h), which could not be "
                     "restored",
                     number & ~SCHED_RESET_ON_FORK);
  }
  return SchedPolicy{known->kind, parameters.sched_priority};
}

double RtLimits::Share() const {
  return std::min(1.0, static_cast<double>(runtime_us) / static_cast<double>(period_us));
}

std::optional<RtLimits> ReadRtThrottle(const std::string& proc) {
  const auto runtime_us = ReadSignedFile(proc + "/sys/kernel/sched_rt_runtime_us");
  const auto period_us = ReadSignedFile(proc + "/sys/kernel/sched_rt_period_us");
  if (!runtime_us || !period_us || *period_us < 1) return std::nullopt;
  if (*runtime_us < 0) return RtLimits{*period_us, *period_us};  // -1: no limit
  return RtLimits{*runtime_us, *period_us};
}

uint32_t MostSpinNs(const SchedPolicy& policy, uint32_t wanted_ns) {
  return IsRealtime(policy) ? std::min(wanted_ns, kMostRealtimeSpinNs) : wanted_ns;
}

}  // namespace llmrun
