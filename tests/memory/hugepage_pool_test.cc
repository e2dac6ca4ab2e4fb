// The pools against a false sysfs. Here a write changes a file and nothing else, so
// `free_hugepages` as a file of its own is a kernel that grants nothing, and as a link to
// `nr_hugepages` one that grants everything.
#include "memory/hugepage_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string PoolPath(unsigned node, const char* kilobytes) {
  return fmt::format("devices/system/node/node{}/hugepages/hugepages-{}kB/", node, kilobytes);
}

void AddPool(const TempTree& tree, unsigned node, const char* kilobytes, int total, int free) {
  tree.Write(PoolPath(node, kilobytes) + "nr_hugepages", fmt::format("{}\n", total));
  tree.Write(PoolPath(node, kilobytes) + "free_hugepages", fmt::format("{}\n", free));
}

void AddGenerousPool(const TempTree& tree, unsigned node, const char* kilobytes, int total) {
  AddPool(tree, node, kilobytes, total, total);
  std::filesystem::remove(tree.Path(PoolPath(node, kilobytes) + "free_hugepages"));
  std::filesystem::create_symlink("nr_hugepages",
                                  tree.Path(PoolPath(node, kilobytes) + "free_hugepages"));
}

TEST(HugePool, StatusOfEveryNodeAndSize) {
  const TempTree tree;
  AddPool(tree, 10, "2048", 7, 5);
  AddPool(tree, 2, "2048", 4, 4);
  AddPool(tree, 2, "1048576", 3, 1);
  AddPool(tree, 2, "64", 9, 9);  // sizes of other machines
  tree.Write("devices/system/node/online", "2,10\n");
  tree.Write("devices/system/node/nodes/file", "");
  const auto pools = HugePoolStatus(tree.root());
  ASSERT_TRUE(pools);
  ASSERT_EQ(pools->size(), 3u);
  EXPECT_EQ((*pools)[0].node, 2u);
  EXPECT_EQ((*pools)[0].kind, PageKind::k2M);
  EXPECT_EQ((*pools)[0].free_pages, 4u);
  EXPECT_EQ((*pools)[1].kind, PageKind::k1G);
  EXPECT_EQ((*pools)[1].total_pages, 3u);
  EXPECT_EQ((*pools)[1].free_pages, 1u);
  EXPECT_EQ((*pools)[2].node, 10u);
  EXPECT_EQ((*pools)[2].total_pages, 7u);
}

TEST(HugePool, PromisedPagesAreNotFree) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 10, 6);
  AddPool(tree, 1, "2048", 10, 3);
  AddPool(tree, 2, "2048", 10, 0);
  tree.Write("kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "4\n");
  const auto pools = HugePoolStatus(tree.root());
  ASSERT_TRUE(pools);
  EXPECT_EQ((*pools)[0].free_pages, 3u);  // 6 less 4 x 6/9, rounded up
  EXPECT_EQ((*pools)[1].free_pages, 1u);
  EXPECT_EQ((*pools)[2].free_pages, 0u);
}

TEST(HugePool, AMachineWithoutPools) {
  const TempTree tree;
  const auto pools = HugePoolStatus(tree.root());
  ASSERT_TRUE(pools);
  EXPECT_THAT(*pools, IsEmpty());
}

TEST(HugePool, ReserveAddsWhatIsMissing) {
  const TempTree tree;
  AddGenerousPool(tree, 1, "1048576", 1);
  EXPECT_EQ(ReserveHugePages({1, PageKind::k1G, 3}, tree.root()).value(), 2u);
  EXPECT_EQ(tree.Read(PoolPath(1, "1048576") + "nr_hugepages"), "3\n");
  EXPECT_EQ(ReserveHugePages({1, PageKind::k1G, 2}, tree.root()).value(), 0u) << "enough there";
  EXPECT_EQ(tree.Read(PoolPath(1, "1048576") + "nr_hugepages"), "3\n");
}

TEST(HugePool, AKernelThatGrantsFewerIsFoundOut) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 2, 1);
  tree.Write("devices/system/node/node0/compact", "");
  const auto added = ReserveHugePages({0, PageKind::k2M, 5}, tree.root());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kResource);
  EXPECT_EQ(added.error().message, "node 0: 5 free 2M pages wanted, the kernel gave 1");
  EXPECT_THAT(added.error().fix, HasSubstr("hugepagesz=2M hugepages="));
  EXPECT_EQ(tree.Read("devices/system/node/node0/compact"), "1") << "tried again compacted";
}

TEST(HugePool, WithoutPrivilegeTheCommandIsNamed) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 2, 2);
  const std::string total = tree.Path(PoolPath(0, "2048") + "nr_hugepages");
  // A link to a proc file that nobody may write: root passes by permission bits.
  std::filesystem::remove(total);
  std::filesystem::create_symlink("/proc/sys/kernel/ngroups_max", total);
  const auto added = ReserveHugePages({0, PageKind::k2M, 3}, tree.root());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kOs);
  EXPECT_EQ(added.error().fix, "sudo llm-run hugepages reserve --size=2M --count=3 --node=0");
}

TEST(HugePool, ReleaseKeepsPagesInUse) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 9, 4);
  EXPECT_EQ(ReleaseHugePages({0, PageKind::k2M, 6}, tree.root()).value(), 4u);
  EXPECT_EQ(tree.Read(PoolPath(0, "2048") + "nr_hugepages"), "5\n");
  AddPool(tree, 0, "2048", 5, 0);
  EXPECT_EQ(ReleaseHugePages({0, PageKind::k2M, 6}, tree.root()).value(), 0u);
}

TEST(HugePool, WhatIsNotThereIsAUsageError) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 2, 2);
  for (const PoolChange& change : {PoolChange{1, PageKind::k2M, 1}, PoolChange{0, PageKind::k1G, 1},
                                   PoolChange{0, PageKind::k4K, 1}}) {
    const auto added = ReserveHugePages(change, tree.root());
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, ErrorCode::kUsage);
    EXPECT_EQ(ReleaseHugePages(change, tree.root()).error().code, ErrorCode::kUsage);
  }
  EXPECT_EQ(tree.Read(PoolPath(0, "2048") + "nr_hugepages"), "2\n");
}

TEST(HugePool, AnAbsurdCountIsNotWrapped) {
  const TempTree tree;
  AddPool(tree, 0, "2048", 5, 1);
  const auto added = ReserveHugePages({0, PageKind::k2M, ~uint64_t{0}}, tree.root());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kUsage);
  EXPECT_EQ(tree.Read(PoolPath(0, "2048") + "nr_hugepages"), "5\n");
}

TEST(HugePool, TheCommandIsTheOneThatTheToolTakes) {
  EXPECT_EQ(ReserveCommand({0, PageKind::k1G, 3}),
            "sudo llm-run hugepages reserve --size=1G --count=3 --node=0");
  EXPECT_EQ(ReserveCommand(NodeSet{}, PageKind::k1G, 3), ReserveCommand({0, PageKind::k1G, 3}));
  EXPECT_EQ(ReserveCommand(NodeSet{1, 4}, PageKind::k1G, 3),
            "sudo llm-run hugepages reserve --size=1G --count=2 --node=1 && "
            "sudo llm-run hugepages reserve --size=1G --count=2 --node=4");
}

}  // namespace
}  // namespace llmrun
