#include "memory/residency.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "base/unique_fd.h"
#include "base/units.h"
#include "memory/smaps.h"
#include "tests/memory/temp_tree.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

// A private mapping of our own, unmapped at the end.
class Mapping {
 public:
  Mapping(uint64_t bytes, int fd)
      : bytes_(bytes),
        data_(static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0))) {
    if (fd < 0) madvise(data_, bytes, MADV_NOHUGEPAGE);  // a mapping apart from its neighbours
  }
  ~Mapping() { munmap(data_, bytes_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<std::byte> bytes() const { return {data_, bytes_}; }

 private:
  uint64_t bytes_;
  std::byte* data_;
};

TEST(Residency, TouchedPagesOfAMapping) {
  const Mapping mapping(100 * 4 * kKiB, -1);
  for (const uint64_t page : {0, 7, 99}) mapping.bytes()[page * 4 * kKiB] = std::byte{1};
  const auto residency = InspectRange(mapping.bytes());
  ASSERT_TRUE(residency) << residency.error().OneLine();
  EXPECT_EQ(residency->bytes_4k, 12 * kKiB);
  EXPECT_EQ(residency->bytes_absent, 97 * 4 * kKiB);
  EXPECT_EQ(residency->bytes_thp + residency->bytes_2m + residency->bytes_1g, 0u);
  uint64_t on_nodes = 0;
  for (const auto& [node, bytes] : residency->node_bytes) on_nodes += bytes;
  if (!residency->node_bytes.empty()) {
    EXPECT_EQ(on_nodes, 12 * kKiB);
  }
}

// Pages that take turns on two nodes look like this to whoever asks at every second one.
TEST(Residency, SamplesDoNotKeepStepWithThePages) {
  constexpr uint64_t kStep = 4 * kKiB;
  constexpr uint64_t kSteps = 128 * kKiB;  // twice as many as are asked about
  const Mapping mapping(kSteps * kStep, -1);
  for (uint64_t page = 0; page < kSteps; page += 2) mapping.bytes()[page * kStep] = std::byte{1};
  const auto residency = InspectRange(mapping.bytes());
  ASSERT_TRUE(residency) << residency.error().OneLine();
  if (residency->node_bytes.empty()) GTEST_SKIP() << "move_pages is not permitted here";
  uint64_t on_nodes = 0;
  for (const auto& [node, bytes] : residency->node_bytes) on_nodes += bytes;
  EXPECT_NEAR(static_cast<double>(on_nodes), kSteps * kStep / 2.0, 0.01 * kSteps * kStep);
}

TEST(Residency, PartOfAMappingIsWidenedToPages) {
  const Mapping mapping(100 * 4 * kKiB, -1);
  for (const uint64_t page : {0, 7, 99}) mapping.bytes()[page * 4 * kKiB] = std::byte{1};
  // Bytes of pages 6 to 8.
  const auto residency = InspectRange(mapping.bytes().subspan(7 * 4 * kKiB - 1, 4 * kKiB + 2));
  ASSERT_TRUE(residency) << residency.error().OneLine();
  EXPECT_EQ(residency->bytes_4k, 4 * kKiB);
  EXPECT_EQ(residency->bytes_absent, 8 * kKiB);
}

TEST(Residency, SamplesOfALargeRangeAddUp) {
  const Mapping mapping(400 * kMiB, -1);  // more pages than samples
  ASSERT_EQ(madvise(mapping.bytes().data(), 400 * kMiB, MADV_POPULATE_WRITE), 0);
  const auto residency = InspectRange(mapping.bytes());
  ASSERT_TRUE(residency) << residency.error().OneLine();
  EXPECT_EQ(residency->bytes_4k, 400 * kMiB);
  uint64_t on_nodes = 0;
  for (const auto& [node, bytes] : residency->node_bytes) on_nodes += bytes;
  if (!residency->node_bytes.empty()) {
    EXPECT_EQ(on_nodes, 400 * kMiB);
  }
}

TEST(Residency, AFileInThePageCacheIsThereBeforeItIsTouched) {
  const TempTree tree;
  tree.Write("weights", std::string(64 * kKiB + 5, 'w'));
  const UniqueFd fd(open(tree.Path("weights").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  EXPECT_EQ(CachedBytes(fd.get(), 64 * kKiB + 5).value(), 64 * kKiB + 5);
  EXPECT_EQ(CachedBytes(fd.get(), 8 * kKiB).value(), 8 * kKiB) << "the first bytes only";
  EXPECT_EQ(CachedBytes(fd.get(), 0).value(), 0u);

  const Mapping mapping(64 * kKiB + 5, fd.get());
  const auto residency = InspectRange(mapping.bytes());
  ASSERT_TRUE(residency) << residency.error().OneLine();
  EXPECT_EQ(residency->bytes_4k + residency->bytes_thp, 68 * kKiB);
  EXPECT_EQ(residency->bytes_absent, 0u);
}

TEST(Residency, AFileOfSomebodyElseTellsNothing) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  const TempTree tree;
  tree.Write("weights", "wwww");
  const UniqueFd fd(open(tree.Path("weights").c_str(), O_RDONLY | O_CLOEXEC));
  std::thread([&] {
    syscall(SYS_setresuid, 65534, 65534, -1);  // this thread only
    const auto cached = CachedBytes(fd.get(), 4);
    ASSERT_TRUE(cached) << cached.error().OneLine();
    EXPECT_EQ(*cached, std::nullopt);
  }).join();
}

TEST(Residency, UnmappedAddressesAreAnError) {
  // Below mmap_min_addr nothing is ever mapped.
  const auto residency = InspectRange({reinterpret_cast<const std::byte*>(4096), 100});
  ASSERT_FALSE(residency);
  EXPECT_EQ(residency.error().code, ErrorCode::kOs);
}

TEST(Residency, NothingIsNowhere) {
  const auto residency = InspectRange({});
  ASSERT_TRUE(residency);
  EXPECT_EQ(residency->bytes_4k + residency->bytes_absent, 0u);
  EXPECT_THAT(residency->node_bytes, IsEmpty());
}

TEST(Residency, Sums) {
  Residency sum{1, 2, 3, 4, 5, {{0, 10}, {1, 20}}};
  sum += Residency{10, 20, 30, 40, 50, {{1, 5}, {2, 7}}};
  EXPECT_EQ(sum.bytes_4k, 11u);
  EXPECT_EQ(sum.bytes_thp, 22u);
  EXPECT_EQ(sum.bytes_2m, 33u);
  EXPECT_EQ(sum.bytes_1g, 44u);
  EXPECT_EQ(sum.bytes_absent, 55u);
  EXPECT_THAT(sum.node_bytes, ElementsAre(Pair(0, 10), Pair(1, 25), Pair(2, 7)));
}

TEST(Residency, FaultsAreCounted) {
  const FaultCounts before = ProcessFaults();
  const Mapping mapping(64 * 4 * kKiB, -1);
  for (uint64_t i = 0; i < 64; ++i) mapping.bytes()[i * 4 * kKiB] = std::byte{1};
  EXPECT_GE(ProcessFaults().minor - before.minor, 64u);
}

constexpr char kSmaps[] =
    "10000-14000 rw-p 00000000 00:00 0 \n"
    "Size:                 16 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
    "Rss:                   8 kB\nAnonHugePages:         0 kB\nVmFlags: rd wr mr\n"
    "200000-800000 rw-p 00000000 00:10 123                      /anon_hugepage (deleted)\n"
    "Size:               6144 kB\nKernelPageSize:     2048 kB\nRss:                   0 kB\n"
    "Shared_Hugetlb:     2048 kB\nPrivate_Hugetlb:    2048 kB\n"
    "7f0000000000-7f0000400000 r--s 00001000 fe:01 77           /data/my model.gguf\n"
    "KernelPageSize:        4 kB\nRss:                3072 kB\nFilePmdMapped:      2048 kB\n"
    "AnonHugePages:         0 kB\nTHPeligible:           0\n";

TEST(Smaps, ParsesWhatTouchesTheRange) {
  const TempTree tree;
  tree.Write("smaps", kSmaps);
  const auto all = ReadVmas(0, ~uint64_t{0}, tree.Path("smaps"));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[0].begin, 0x10000u);
  EXPECT_EQ((*all)[0].end, 0x14000u);
  EXPECT_EQ((*all)[0].path, "");
  EXPECT_EQ((*all)[0].rss_bytes, 8 * kKiB);
  EXPECT_FALSE((*all)[0].is_hugetlb());
  EXPECT_TRUE((*all)[1].is_hugetlb());
  EXPECT_EQ((*all)[1].hugetlb_bytes, 4 * kMiB);
  EXPECT_EQ((*all)[2].path, "/data/my model.gguf");
  EXPECT_EQ((*all)[2].thp_bytes, 2 * kMiB);
  EXPECT_EQ((*all)[2].rss_bytes, 3 * kMiB);

  const auto middle = ReadVmas(0x14000, 0x200001, tree.Path("smaps"));
  ASSERT_TRUE(middle);
  ASSERT_EQ(middle->size(), 1u);
  EXPECT_EQ((*middle)[0].begin, 0x200000u);
  EXPECT_EQ((*middle)[0].rss_bytes, 0u);
  EXPECT_TRUE(ReadVmas(0x14000, 0x15000, tree.Path("smaps"))->empty());
}

TEST(Smaps, AMissingFileIsAnError) { EXPECT_FALSE(ReadVmas(0, 1, "/nowhere/smaps")); }

}  // namespace
}  // namespace llmrun
