#include "sched/sched_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "memory/limits.h"
#include "sched/affinity.h"
#include "sched/realtime_refusal.h"
#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr SchedPolicy kFifo1{SchedKind::kFifo, 1};
constexpr SchedPolicy kFifo50{SchedKind::kFifo, 50};

TEST(SchedPolicy, ParsesWhatItNames) {
  const std::pair<const char*, SchedPolicy> cases[] = {
      {"other", {SchedKind::kOther, 0}},   {"batch", {SchedKind::kBatch, 0}},
      {"idle", {SchedKind::kIdle, 0}},     {"fifo:1", kFifo1},
      {"fifo:99", {SchedKind::kFifo, 99}}, {"rr:42", {SchedKind::kRr, 42}},
  };
  for (const auto& [text, policy] : cases) {
    EXPECT_EQ(ParseSchedPolicy(text), policy) << text;
    EXPECT_EQ(NameOf(policy), text);
  }
  EXPECT_EQ(ParseSchedPolicy("fifo"), kFifo1);
  EXPECT_EQ(ParseSchedPolicy("rr"), (SchedPolicy{SchedKind::kRr, 1}));
}

TEST(SchedPolicy, RefusesWhatItDoesNotKnow) {
  for (const char* text :
       {"", "Fifo", "fifo50", "other:1", "idle:", "realtime", "deadline:1", ":5"}) {
    const auto policy = ParseSchedPolicy(text);
    ASSERT_FALSE(policy) << text;
    EXPECT_EQ(policy.error().code, ErrorCode::kUsage);
    EXPECT_EQ(
        policy.error().message,
        fmt::format("--sched={}: expected other, batch, idle, fifo, rr, fifo:N or rr:N", text));
  }
  for (const char* number : {"", "0", "100", "-1", "+1", "1x", " 1", "99999999999"}) {
    const auto policy = ParseSchedPolicy(fmt::format("rr:{}", number));
    ASSERT_FALSE(policy) << number;
    EXPECT_EQ(policy.error().code, ErrorCode::kUsage);
    EXPECT_EQ(policy.error().message,
              fmt::format("--sched=rr:{0}: priority '{0}', expected 1 to 99", number));
  }
}

TEST(SchedPolicy, DeadlineIsKnownButNotForPinnedThreads) {
  const auto policy = ParseSchedPolicy("deadline");
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(policy.error().message, AllOf(HasSubstr("pinned"), HasSubstr("root domain")));
}

// On a thread of its own, so that the policies and capabilities of the other tests stay.
void OnAThread(const std::function<void()>& test) { std::thread(test).join(); }

TEST(SchedPolicy, OrdinaryOnesComeBackAsTheyWereSet) {
  OnAThread([] {
    for (const char* name : {"batch", "other", "idle"}) {
      const SchedPolicy policy = ParseSchedPolicy(name).value();
      const Status applied = ApplySchedPolicy(0, policy);
      ASSERT_TRUE(applied) << applied.error().OneLine();
      EXPECT_EQ(PolicyOf(0), policy) << name;
      EXPECT_EQ(PolicyOf(ThisThreadId()), policy) << name;
    }
  });
}

TEST(SchedPolicy, RealtimeAndBack) {
  OnAThread([] {
    const SchedPolicy before = PolicyOf(0).value();
    const Status applied = ApplySchedPolicy(0, kFifo50);
    if (!applied) GTEST_SKIP() << applied.error().OneLine();
    EXPECT_EQ(PolicyOf(0), kFifo50);
    EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
    OnAThread([&] { EXPECT_EQ(PolicyOf(0), SchedPolicy()) << "started by a real-time thread"; });
    ASSERT_TRUE(ApplySchedPolicy(0, {SchedKind::kRr, 7}));
    EXPECT_EQ(PolicyOf(0), (SchedPolicy{SchedKind::kRr, 7}));
    ASSERT_TRUE(ApplySchedPolicy(0, before));
    EXPECT_EQ(PolicyOf(0), before);
  });
}

TEST(SchedPolicy, OfAThreadThatIsNotThere) {
  constexpr pid_t kNobody = 0x3fffffff;  // beyond the largest pid_max
  for (const Status& status :
       {ApplySchedPolicy(kNobody, {}), Status(PolicyOf(kNobody).map([](auto) {}))}) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kOs);
    EXPECT_THAT(status.error().message, HasSubstr("No such process"));
  }
}

// The calling thread alone loses a capability; its process may have another limit until the end.
void DropSysNice() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  ASSERT_EQ(syscall(SYS_capget, &header, sets), 0);
  sets[0].effective &= ~(1U << CAP_SYS_NICE);
  ASSERT_EQ(syscall(SYS_capset, &header, sets), 0);
}

class SoftLimit {
 public:
  SoftLimit(__rlimit_resource which, rlim_t value) : which_(which) {
    getrlimit(which, &before_);
    const rlimit wanted{value, std::max(value, before_.rlim_max)};
    is_set_ = setrlimit(which, &wanted) == 0;
  }
  ~SoftLimit() { setrlimit(which_, &before_); }
  SoftLimit(const SoftLimit&) = delete;
  SoftLimit& operator=(const SoftLimit&) = delete;
  bool is_set() const { return is_set_; }

 private:
  const __rlimit_resource which_;
  rlimit before_ = {};
  bool is_set_ = false;
};

TEST(SchedPolicy, WithoutPrivilegeSaysWhatIsMissing) {
  const SoftLimit none(RLIMIT_RTPRIO, 0);
  ASSERT_TRUE(none.is_set());
  OnAThread([] {
    DropSysNice();
    const Status applied = ApplySchedPolicy(0, kFifo50);
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(applied.error().message,
              "--sched=fifo:50: refused (EPERM): RLIMIT_RTPRIO is 0 here and there is no "
              "CAP_SYS_NICE");
    EXPECT_THAT(applied.error().fix, AllOf(HasSubstr("ulimit -r 50"), HasSubstr("LimitRTPRIO=50")));
    EXPECT_EQ(PolicyOf(0), SchedPolicy());
  });
}

TEST(SchedPolicy, LimitAllowsUpToItsPriority) {
  const SoftLimit ten(RLIMIT_RTPRIO, 10);
  if (!ten.is_set()) GTEST_SKIP() << "RLIMIT_RTPRIO cannot be raised to 10 here";
  OnAThread([] {
    DropSysNice();
    const Status allowed = ApplySchedPolicy(0, {SchedKind::kFifo, 10});
    if (!allowed) GTEST_SKIP() << allowed.error().OneLine();
    const Status refused = ApplySchedPolicy(0, {SchedKind::kFifo, 11});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message,
                HasSubstr("--sched=fifo:11: refused (EPERM): RLIMIT_RTPRIO is 10"));
    EXPECT_EQ(PolicyOf(0), (SchedPolicy{SchedKind::kFifo, 10}));
    const Status back = ApplySchedPolicy(0, {});
    ASSERT_TRUE(back) << "the mark for children stays: " << back.error().OneLine();
    EXPECT_EQ(PolicyOf(0), SchedPolicy());
  });
}

TEST(SchedPolicy, IdleHasNoWayBackWithoutPrivilege) {
  const SoftLimit none(RLIMIT_NICE, 0);
  ASSERT_TRUE(none.is_set());
  OnAThread([] {
    DropSysNice();
    ASSERT_TRUE(ApplySchedPolicy(0, {SchedKind::kIdle}));
    const Status back = ApplySchedPolicy(0, {});
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(back.error().message, AllOf(HasSubstr("--sched=other"), HasSubstr("RLIMIT_NICE")));
    EXPECT_EQ(PolicyOf(0), SchedPolicy{SchedKind::kIdle});
  });
}

// A process as /proc and the cgroups show it; as root of the machine unless told otherwise.
class FakeProcess {
 public:
  FakeProcess() {
    Privileges("000001ffffffffff", 0);
    tree_.Write("proc/thread-self/limits",
                "Limit                     Soft Limit           Hard Limit           Units     \n"
                "Max nice priority         0                    0                    \n"
                "Max realtime priority     20                   20                   \n");
    tree_.Write("proc/self/uid_map", "         0          0 4294967295\n");
    tree_.Write("proc/thread-self/cgroup", "5:cpuset:/a\n3:cpu,cpuacct:/jobs/one\n0::/\n");
  }
  void Privileges(const std::string& effective, int seccomp) const {
    tree_.Write(
        "proc/thread-self/status",
        fmt::format("Name:\tllm-run\nCapPrm:\t0000000000000000\nCapEff:\t{}\nSeccomp:\t{}\n",
                    effective, seccomp));
  }
  void Write(const std::string& path, const std::string& text) const { tree_.Write(path, text); }
  Error Refusal(const SchedPolicy& policy) const {
    return RealtimeRefusal(policy, {tree_.Path("proc"), tree_.Path("sys"), tree_.Path("cgroup")})
        .value();
  }

 private:
  const TempTree tree_;
};

TEST(RealtimeRefusal, GroupWithoutRuntime) {
  const FakeProcess process;
  process.Write("cgroup/cpu/cpu.rt_runtime_us", "950000\n");
  process.Write("cgroup/cpu/jobs/one/cpu.rt_runtime_us", "0\n");
  const Error error = process.Refusal(kFifo50);
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("--sched=fifo:50: refused (EPERM)"),
                                   HasSubstr("cgroup/cpu/jobs/one/cpu.rt_runtime_us is 0")));
  EXPECT_THAT(error.fix, HasSubstr("--cpu-rt-runtime="));
  process.Write("cgroup/cpu/jobs/one/cpu.rt_runtime_us", "1000\n");
  EXPECT_THAT(process.Refusal(kFifo50).message, HasSubstr("a security module forbids it"));
}

// Without a cgroup namespace: the path is the host's, the mount the container's.
TEST(RealtimeRefusal, GroupOfAContainer) {
  const FakeProcess process;
  process.Write("cgroup/cpu/cpu.rt_runtime_us", "0\n");
  EXPECT_THAT(process.Refusal(kFifo50).message, HasSubstr("cgroup/cpu/cpu.rt_runtime_us is 0"));
}

TEST(RealtimeRefusal, LimitsComeBeforeOtherReasons) {
  const FakeProcess process;
  process.Privileges("00000000a80425fb", 2);  // a usual container
  process.Write("cgroup/cpu/cpu.rt_runtime_us", "0\n");
  const Error error = process.Refusal(kFifo50);
  EXPECT_THAT(error.message, HasSubstr("RLIMIT_RTPRIO is 20 here and there is no CAP_SYS_NICE"));
  EXPECT_THAT(error.fix, HasSubstr("setcap cap_sys_nice+ep"));
  EXPECT_THAT(process.Refusal({SchedKind::kRr, 20}).message, HasSubstr("the cgroup gives"));
}

TEST(RealtimeRefusal, CapabilityOfAUserNamespaceDoesNotCount) {
  const FakeProcess process;
  process.Write("proc/self/uid_map",
                "         0       1000          1\n         1     100000      65536\n");
  const Error error = process.Refusal(kFifo50);
  EXPECT_THAT(error.message, HasSubstr("CAP_SYS_NICE of a user namespace does not count"));
  EXPECT_THAT(error.fix, AllOf(HasSubstr("--ulimit rtprio=50"), Not(HasSubstr("setcap"))));
}

TEST(RealtimeRefusal, Filter) {
  const FakeProcess process;
  process.Privileges("000001ffffffffff", 2);
  const Error error = process.Refusal(kFifo50);
  EXPECT_THAT(error.message, HasSubstr("seccomp"));
  EXPECT_THAT(error.fix, HasSubstr("RestrictRealtime=no"));
}

TEST(RealtimeRefusal, NothingCanBeRead) {
  const Error error =
      RealtimeRefusal(kFifo1, {"/nonexistent", "/nonexistent", "/nonexistent"}).value();
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_THAT(error.message, HasSubstr("--sched=fifo:1: refused (EPERM)"));
}

TEST(RtThrottle, ShareOfAPeriod) {
  const TempTree tree;
  const auto write = [&](const char* runtime_us, const char* period_us) {
    tree.Write("sys/kernel/sched_rt_runtime_us", runtime_us);
    tree.Write("sys/kernel/sched_rt_period_us", period_us);
    return ReadRtThrottle(tree.root());
  };
  const auto usual = write("950000\n", "1000000\n");
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->runtime_us, 950'000);
  EXPECT_EQ(usual->period_us, 1'000'000);
  EXPECT_DOUBLE_EQ(usual->Share(), 0.95);
  for (const char* all : {"-1\n", "1000000\n"}) {
    const auto unlimited = write(all, "1000000\n");
    ASSERT_TRUE(unlimited) << all;
    EXPECT_DOUBLE_EQ(unlimited->Share(), 1.0) << all;
  }
  EXPECT_DOUBLE_EQ(write("0\n", "1000000\n").value().Share(), 0.0);
  EXPECT_FALSE(write("950000\n", "0\n"));
  EXPECT_FALSE(write("much\n", "1000000\n"));
  EXPECT_FALSE(ReadRtThrottle("/nonexistent"));
}

TEST(MostSpin, IsShortUnderRealtime) {
  for (const SchedKind kind : {SchedKind::kOther, SchedKind::kBatch, SchedKind::kIdle}) {
    EXPECT_EQ(MostSpinNs({kind}, 3'000'000), 3'000'000U);
    EXPECT_EQ(MostSpinNs({kind}, 0), 0U);
  }
  for (const SchedKind kind : {SchedKind::kFifo, SchedKind::kRr}) {
    EXPECT_EQ(MostSpinNs({kind, 1}, 3'000'000), 50'000U);
    EXPECT_EQ(MostSpinNs({kind, 1}, 20'000), 20'000U);
    EXPECT_EQ(MostSpinNs({kind, 1}, 0), 0U);
  }
}

}  // namespace
}  // namespace llmrun
