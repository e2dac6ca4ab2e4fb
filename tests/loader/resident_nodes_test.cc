// Weights left resident on several NUMA nodes.
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <thread>

#include "tests/loader/resident_support.h"
#include "tests/loader/restrict_thread.h"

namespace llmrun {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// On nodes that this machine does not have, which are not bound to: every image is a file.
class ResidentNodes : public testing::TestWithParam<NumaMode> {
 protected:
  Result<StoredLoad> Store(const ResidentModel& model) {
    std::optional<Result<StoredLoad>> stored;
    std::thread([&] {
      if (!RefuseSyscall(SYS_mbind, EPERM)) return;
      LoadOptions options = model.Options(LoaderKind::kAuto);
      options.numa.mode = GetParam();
      stored = LoadIntoStore(
          model.index, SyntheticMachine("pack:3 [numa(memory=8GB)] core:2 pu:1").value(), options);
    }).join();
    if (!stored) return MakeError(ErrorCode::kUnavailable, "no seccomp filters here");
    return *std::move(stored);
  }
};

TEST_P(ResidentNodes, ComeBackAsTheyWereLaid) {
  const ResidentModel model;
  const auto stored = Store(model);
  ASSERT_TRUE(stored) << stored.error().OneLine();
  const ResidentManifest& manifest = stored->store.manifest;
  const bool one_a_node = GetParam() != NumaMode::kInterleave;
  EXPECT_EQ(manifest.numa, NumaPolicy{.mode = GetParam()});
  EXPECT_THAT(manifest.nodes, ElementsAre(0, 1, 2));
  EXPECT_THAT(manifest.data, SizeIs(one_a_node ? 3 : 1));
  EXPECT_THAT(model.dir.Files(kDataSuffix), SizeIs(manifest.data.size()));
  EXPECT_EQ(stored->report->xxh3, model.hash);
  ASSERT_FALSE(stored->report->fallbacks.empty());
  EXPECT_THAT(stored->report->fallbacks[0].why, HasSubstr("mbind"));

  LoadOptions options = model.Options(LoaderKind::kResident);
  options.numa.mode = NumaMode::kAuto;
  options.hash = true;
  const auto weights = StartLoad(model.index, ThisMachine(), options).value();
  const auto report = weights->Finish();
  ASSERT_TRUE(report) << report.error().OneLine();
  EXPECT_EQ(report->xxh3, model.hash);
  EXPECT_EQ(report->numa, NameOf(manifest.numa));
  EXPECT_EQ(weights->plan().mirrored, GetParam() == NumaMode::kMirror);
  EXPECT_THAT(weights->plan().arenas, SizeIs(manifest.data.size()));
  EXPECT_EQ(report->residency.PlacedBytes(), manifest.DataBytes()) << "where it lies is known";

  ASSERT_EQ(DropStores(model.dir.Open(), model.path).value().size(), 1U);
  EXPECT_THAT(model.dir.Files(kDataSuffix), IsEmpty());
}

TEST_P(ResidentNodes, OneImageOfSeveralIsMissed) {
  const ResidentModel model;
  const auto stored = Store(model);
  ASSERT_TRUE(stored) << stored.error().OneLine();
  std::filesystem::remove(stored->store.manifest.data.back().path);
  const auto refused = model.Load(LoaderKind::kResident);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("the weights are gone"));
}

INSTANTIATE_TEST_SUITE_P(EachMode, ResidentNodes,
                         testing::Values(NumaMode::kInterleave, NumaMode::kShard,
                                         NumaMode::kMirror),
                         [](const auto& test) { return NameOf(NumaPolicy{.mode = test.param}); });

TEST(Resident, AnotherPolicyThanTheStoresIsSaid) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  LoadOptions options = model.Options(LoaderKind::kResident);
  options.numa.mode = NumaMode::kShard;
  const auto report = LoadAll(model.index, options);
  ASSERT_TRUE(report);
  ASSERT_THAT(report->fallbacks, SizeIs(1));
  EXPECT_EQ(report->fallbacks[0].wanted, "--numa=shard");
  EXPECT_EQ(report->fallbacks[0].got, "off, as they were loaded");
  EXPECT_THAT(report->fallbacks[0].fix, HasSubstr("--numa=shard"));
  options.loader = LoaderKind::kAuto;
  const auto again = LoadIntoStore(model.index, ThisMachine(), options);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->report);
  EXPECT_THAT(again->fallbacks, SizeIs(1));
}

}  // namespace
}  // namespace llmrun
