#include "memory/limits.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/units.h"
#include "memory/cpu_limits.h"
#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

// A machine with 64 GiB, 48 of them available, and the cgroups that a test adds.
class LimitsTest : public testing::Test {
 protected:
  LimitsTest() {
    tree_.Write("proc/meminfo",
                "MemTotal:       67108864 kB\nMemFree:         1048576 kB\n"
                "MemAvailable:   50331648 kB\nHugePages_Total:       4\n");
  }

  Limits Read() const {
    const auto limits = ReadLimits(Roots());
    EXPECT_TRUE(limits) << limits.error().OneLine();
    return limits.value_or(Limits());
  }
  CpuLimits Cpus() const { return ReadCpuLimits(Roots()); }
  LimitRoots Roots() const { return {tree_.Path("proc"), tree_.Path("sys"), tree_.Path("cgroup")}; }

  // Makes the hierarchy a pure v2 one with this process at `path`.
  void EnterV2(const std::string& path) const {
    tree_.Write("cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    tree_.Write("proc/self/cgroup", "0::" + path + "\n");
  }

  TempTree tree_;
};

TEST_F(LimitsTest, BareMachine) {
  const Limits limits = Read();
  EXPECT_EQ(limits.total_bytes, 64 * kGiB);
  EXPECT_EQ(limits.available_bytes, 48 * kGiB);
  EXPECT_EQ(limits.available_source, "MemAvailable");
  EXPECT_EQ(Cpus().quota_cpus, std::nullopt);
}

TEST_F(LimitsTest, CpuMaxIsRoundedDown) {
  EnterV2("/box");
  const std::pair<const char*, std::optional<int>> cases[] = {{"150000 100000", 1},
                                                              {"765000 100000", 7},
                                                              {"200000 100000", 2},
                                                              {"50000 100000", 1},
                                                              {"max 100000", {}},
                                                              {"max", {}},
                                                              {"", {}},
                                                              {"100000", {}},
                                                              {"100000 0", {}},
                                                              {"bogus 100000", {}},
                                                              {"6400000 100000", 64}};
  for (const auto& [text, cpus] : cases) {
    tree_.Write("cgroup/box/cpu.max", std::string(text) + "\n");
    EXPECT_EQ(Cpus().quota_cpus, cpus) << "'" << text << "'";
  }
}

TEST_F(LimitsTest, TheTightestAncestorCounts) {
  EnterV2("/a/b/c");
  tree_.Write("cgroup/a/cpu.max", "300000 100000\n");
  tree_.Write("cgroup/a/b/cpu.max", "250000 100000\n");
  tree_.Write("cgroup/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(Cpus().quota_cpus, 2);
  tree_.Write("cgroup/cpu.max", "100000 100000\n");  // seen inside a cgroup namespace
  EXPECT_EQ(Cpus().quota_cpus, 1);
}

TEST_F(LimitsTest, HowOftenTheQuotaStoppedUs) {
  EnterV2("/a/b");
  EXPECT_EQ(Cpus().throttled_periods, 0U);
  tree_.Write("cgroup/a/b/cpu.stat",
              "usage_usec 9\nnr_periods 40\nnr_throttled 0\nthrottled_usec 0\n");
  tree_.Write("cgroup/a/cpu.stat", "nr_periods 40\nnr_throttled 12\nthrottled_usec 2500000\n");
  EXPECT_EQ(Cpus().throttled_periods, 12U);
  EXPECT_DOUBLE_EQ(Cpus().throttled_seconds, 2.5);
  tree_.Write("proc/self/cgroup", "3:cpu,cpuacct:/y\n");
  tree_.Write("cgroup/cpu/y/cpu.stat",
              "nr_periods 40\nnr_throttled 3\nthrottled_time 1500000000\n");
  EXPECT_EQ(Cpus().throttled_periods, 3U);
  EXPECT_DOUBLE_EQ(Cpus().throttled_seconds, 1.5);
}

TEST_F(LimitsTest, TheCpusetOfTheInnermostGroupThatHasOne) {
  EnterV2("/a/b");
  EXPECT_EQ(Cpus().cpuset, std::nullopt);
  tree_.Write("cgroup/a/cpuset.cpus.effective", "0-3,8\n");
  EXPECT_EQ(Cpus().cpuset, (std::vector<unsigned>{0, 1, 2, 3, 8}));
  tree_.Write("cgroup/a/b/cpuset.cpus.effective", "2-3\n");
  EXPECT_EQ(Cpus().cpuset, (std::vector<unsigned>{2, 3}));
  tree_.Write("proc/self/cgroup", "5:cpuset:/z\n");
  tree_.Write("cgroup/cpuset/z/cpuset.effective_cpus", "7\n");
  EXPECT_EQ(Cpus().cpuset, (std::vector<unsigned>{7}));
}

TEST_F(LimitsTest, MemoryMaxLessWhatIsUsedButForTheCache) {
  EnterV2("/a/b");
  tree_.Write("cgroup/a/memory.max", fmt::format("{}\n", 16 * kGiB));
  tree_.Write("cgroup/a/memory.current", fmt::format("{}\n", 10 * kGiB));
  tree_.Write("cgroup/a/memory.stat",
              fmt::format("anon 5\nfile 7\ninactive_anon 1\nactive_anon 4\ninactive_file {}\n"
                          "active_file {}\n",
                          3 * kGiB, kGiB));
  tree_.Write("cgroup/a/b/memory.max", "max\n");
  const Limits limits = Read();
  EXPECT_EQ(limits.available_bytes, 10 * kGiB);
  EXPECT_EQ(limits.available_source, tree_.Path("cgroup/a/memory.max"));
}

TEST_F(LimitsTest, AnOverdrawnCgroupLeavesNothing) {
  EnterV2("/a");
  tree_.Write("cgroup/a/memory.max", fmt::format("{}\n", kGiB));
  tree_.Write("cgroup/a/memory.current", fmt::format("{}\n", 2 * kGiB));
  EXPECT_EQ(Read().available_bytes, 0u);
}

TEST_F(LimitsTest, ALimitAboveTheMachineDoesNotCount) {
  EnterV2("/a");
  tree_.Write("cgroup/a/memory.max", fmt::format("{}\n", 500 * kGiB));
  tree_.Write("cgroup/a/memory.current", "0\n");
  EXPECT_EQ(Read().available_source, "MemAvailable");
}

TEST_F(LimitsTest, Version1) {
  tree_.Write("proc/self/cgroup",
              "9:name=systemd:/\n5:memory:/docker/x\n2:cpuset:/other\n3:cpu,cpuacct:/docker/y\n"
              "0::/\n");
  tree_.Write("cgroup/cpu/docker/y/cpu.cfs_quota_us", "-1\n");
  tree_.Write("cgroup/cpu/docker/y/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cpus().quota_cpus, std::nullopt);
  tree_.Write("cgroup/cpu/docker/cpu.cfs_quota_us", "350000\n");
  tree_.Write("cgroup/cpu/docker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Cpus().quota_cpus, 3);

  tree_.Write("cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Read().available_source, "MemAvailable");
  tree_.Write("cgroup/memory/docker/x/memory.limit_in_bytes", fmt::format("{}\n", 8 * kGiB));
  tree_.Write("cgroup/memory/docker/x/memory.usage_in_bytes", fmt::format("{}\n", 4 * kGiB));
  tree_.Write("cgroup/memory/docker/x/memory.stat",
              fmt::format("inactive_file 1\nactive_file 2\ntotal_inactive_file {}\n"
                          "total_active_file 0\n",
                          kGiB));
  EXPECT_EQ(Read().available_bytes, 5 * kGiB);
}

// Docker on v1 without a cgroup namespace: the path names directories of the host, and the mount
// itself is the container's.
TEST_F(LimitsTest, APathThatIsNotVisibleEndsAtTheMount) {
  tree_.Write("proc/self/cgroup", "5:memory:/docker/0123\n3:cpu:/docker/0123\n");
  tree_.Write("cgroup/memory/memory.limit_in_bytes", fmt::format("{}\n", kGiB));
  tree_.Write("cgroup/cpu/cpu.cfs_quota_us", "200000\n");
  tree_.Write("cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Read().available_bytes, kGiB);
  EXPECT_EQ(Cpus().quota_cpus, 2);
}

TEST_F(LimitsTest, HybridHierarchyHasItsV2Below) {
  tree_.Write("proc/self/cgroup", "0::/box\n");
  tree_.Write("cgroup/unified/box/cpu.max", "200000 100000\n");
  EXPECT_EQ(Cpus().quota_cpus, 2);
}

TEST_F(LimitsTest, DamagedCgroupLinesAreNoLimits) {
  tree_.Write("proc/self/cgroup", "\n::\n0:\n0::relative\nnothing\n4:memory\n0::/x/../..");
  EXPECT_EQ(Read().available_bytes, 48 * kGiB);
}

TEST_F(LimitsTest, WithoutOvercommitWhatMayStillBePromised) {
  tree_.Write("proc/meminfo",
              "MemTotal: 67108864 kB\nMemAvailable: 50331648 kB\n"
              "CommitLimit: 33554432 kB\nCommitted_AS: 1048576 kB\n");
  for (const char* mode : {"0", "1"}) {
    tree_.Write("proc/sys/vm/overcommit_memory", mode);
    EXPECT_EQ(Read().available_bytes, 48 * kGiB) << mode;
  }
  tree_.Write("proc/sys/vm/overcommit_memory", "2\n");
  EXPECT_EQ(Read().available_bytes, 31 * kGiB);
  EXPECT_EQ(Read().available_source, "vm.overcommit_memory=2");
}

TEST_F(LimitsTest, LockableBytes) {
  EXPECT_EQ(LockableBytes(Roots()), std::nullopt) << "nothing says anything";
  const std::string limit =
      "Max processes             95830                95830                processes\n"
      "Max locked memory         8388608              9388608              bytes\n";
  tree_.Write("proc/thread-self/limits", limit);
  tree_.Write("proc/thread-self/status", "VmLck:\t     100 kB\nCapEff:\t00000000a80425fb\n");
  EXPECT_EQ(LockableBytes(Roots()), 8 * kMiB - 100 * kKiB);
  tree_.Write("proc/thread-self/status", "VmLck:\t   10000 kB\nCapEff:\t0000000000000000\n");
  EXPECT_EQ(LockableBytes(Roots()), 0U);
  tree_.Write("proc/thread-self/status", "CapEff:\t0000000000004000\n");
  EXPECT_EQ(LockableBytes(Roots()), std::nullopt) << "CAP_IPC_LOCK";
  tree_.Write("proc/thread-self/status", "CapEff:\t0000000000000000\n");
  tree_.Write("proc/thread-self/limits",
              "Max locked memory         unlimited            unlimited            bytes\n");
  EXPECT_EQ(LockableBytes(Roots()), std::nullopt);
}

TEST_F(LimitsTest, NoMeminfoIsAnError) {
  LimitRoots roots = Roots();
  roots.proc = tree_.Path("nowhere");
  EXPECT_FALSE(ReadLimits(roots));
  tree_.Write("proc/meminfo", "MemTotal: 5 kB\n");
  const auto limits = ReadLimits(Roots());
  ASSERT_FALSE(limits);
  EXPECT_EQ(limits.error().code, ErrorCode::kOs);
}

TEST_F(LimitsTest, NodeMemoryCountsWhatCanBeReclaimed) {
  tree_.Write("sys/devices/system/node/node3/meminfo",
              "Node 3 MemTotal:       6400 kB\nNode 3 MemFree:        1000 kB\n"
              "Node 3 Active:         9999 kB\nNode 3 Active(file):    200 kB\n"
              "Node 3 Inactive(file):   30 kB\nNode 3 SReclaimable:     4 kB\n");
  EXPECT_EQ(NodeAvailableBytes(3, Roots()), (1000 + 200 + 30 + 4 - 100) * kKiB);
  EXPECT_EQ(NodeAvailableBytes(0, Roots()), std::nullopt);
}

// Seen in a virtual machine that was given memory while it ran: 24 GiB in all, 10 of them on its
// only node.
TEST_F(LimitsTest, TheOnlyNodeHasAllOfTheMemory) {
  tree_.Write("sys/devices/system/node/node3/meminfo",
              "Node 3 MemTotal:       6400 kB\nNode 3 MemFree:        1000 kB\n");
  tree_.Write("sys/devices/system/node/has_memory", "0,3\n");
  EXPECT_EQ(NodeAvailableBytes(3, Roots()), (1000 - 100) * kKiB);
  tree_.Write("sys/devices/system/node/has_memory", "3\n");
  EXPECT_EQ(NodeAvailableBytes(3, Roots()), 48 * kGiB);
}

TEST(Limits, OfThisMachine) {
  const auto limits = ReadLimits();
  ASSERT_TRUE(limits) << limits.error().OneLine();
  EXPECT_GT(limits->total_bytes, 64 * kMiB);
  EXPECT_LE(limits->available_bytes, limits->total_bytes);
  EXPECT_GE(ReadCpuLimits().quota_cpus.value_or(1), 1);
}

}  // namespace
}  // namespace llmrun
