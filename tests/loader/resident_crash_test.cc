// Loads into a store that are killed at any moment: afterwards the weights can be attached and are
// right, or there is no store; never wrong bytes, and nothing stays behind.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "base/stopwatch.h"
#include "tests/loader/resident_support.h"
#include "tests/support/sanitizer.h"

namespace llmrun {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kKills = kAnySanitizer ? 24 : 200;

constexpr char kChildModel[] = "LLMRUN_TEST_RESIDENT_MODEL";
constexpr char kChildDir[] = "LLMRUN_TEST_RESIDENT_DIR";

// What the child does; a process of its own, so that it can be killed with all its threads.
TEST(ResidentCrash, ChildLoads) {
  const char* model = std::getenv(kChildModel);
  const char* dir = std::getenv(kChildDir);
  if (model == nullptr || dir == nullptr) GTEST_SKIP() << "started by KilledAtAnyMoment only";
  const TensorIndex index = OpenModel(model).value();
  const auto stored =
      LoadIntoStore(index, ThisMachine(), {.hugepages = HugePages::kOff, .resident_dir = dir});
  EXPECT_TRUE(stored) << stored.error().OneLine();
}

pid_t StartChild(const ResidentModel& model) {
  // A child runs its one test, whichever share of the tests is ours.
  ::unsetenv("GTEST_TOTAL_SHARDS");
  ::unsetenv("GTEST_SHARD_INDEX");
  ::setenv(kChildModel, model.path.c_str(), 1);
  ::setenv(kChildDir, model.dir.path().c_str(), 1);
  std::string self = "/proc/self/exe";
  std::string filter = "--gtest_filter=ResidentCrash.ChildLoads";
  std::string brief = "--gtest_brief=1";
  char* argv[] = {self.data(), filter.data(), brief.data(), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, self.c_str(), nullptr, nullptr, argv, environ), 0);
  ::unsetenv(kChildModel);
  ::unsetenv(kChildDir);
  return pid;
}

// The wait status of a child that is killed after so long, if it still runs then.
int KillAfter(pid_t pid, double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  ::kill(pid, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

double SecondsOfAFullLoad(const ResidentModel& model) {
  const Stopwatch watch;
  int status = 0;
  EXPECT_GT(::waitpid(StartChild(model), &status, 0), 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return watch.Seconds();
}

TEST(ResidentCrash, KilledAtAnyMoment) {
  const ResidentModel model;
  double duration_seconds = SecondsOfAFullLoad(model);
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(DropStores(model.dir.Open(), std::nullopt).value(), SizeIs(1));
    duration_seconds = std::min(duration_seconds, SecondsOfAFullLoad(model));
  }
  std::mt19937_64 random(20);
  std::uniform_real_distribution<double> moment(0, 1.2 * duration_seconds);
  int attached = 0;
  int refused = 0;
  for (int i = 0; i < kKills; ++i) {
    SCOPED_TRACE(i);
    if (i % 2 == 1) {
      // There is a store already, which is stale: it is that one, or the new one.
      if (model.dir.Files(".json").empty()) {
        ASSERT_TRUE(model.Store());
      }
      const auto time = std::filesystem::file_time_type::clock::now() - std::chrono::hours(i);
      std::filesystem::last_write_time(model.path, time);
    } else {
      ASSERT_TRUE(DropStores(model.dir.Open(), std::nullopt));
    }
    KillAfter(StartChild(model), moment(random));
    const auto report = model.Load(LoaderKind::kResident);
    if (report) {
      ++attached;
      ASSERT_EQ(report->xxh3, model.hash);
    } else {
      ++refused;
      ASSERT_EQ(report.error().code, ErrorCode::kUnavailable) << report.error().OneLine();
    }
    const auto stores = ListStores(model.dir.Open());
    ASSERT_TRUE(stores) << stores.error().OneLine();
    ASSERT_EQ(model.dir.Files(kDataSuffix).size(), stores->size());
    ASSERT_EQ(model.dir.Files("").size(), 2 * stores->size());
  }
  RecordProperty("attached", attached);
  RecordProperty("refused", refused);
  SecondsOfAFullLoad(model);
  EXPECT_EQ(model.Load(LoaderKind::kResident).value().xxh3, model.hash);
  ASSERT_TRUE(DropStores(model.dir.Open(), std::nullopt));
  EXPECT_THAT(model.dir.Files(""), IsEmpty());
}

}  // namespace
}  // namespace llmrun
