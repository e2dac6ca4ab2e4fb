#include "sched/core_lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using LeaseCpus = std::vector<unsigned>;
using Lease = std::unique_ptr<CoreLease>;

const LeaseCpus kFourCpus{0, 1, 2, 3};

// Members of one process exclude each other as those of several do: each has an open file of its
// own.
class CoreLeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "core_lease_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/table";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Looks for the dead at each Refresh(), or never.
  CoreLeaseOptions Options(bool looks = true) const {
    return {.path = path_,
            .claim = {kFourCpus, 4},
            .look_interval = looks ? std::chrono::hours(0) : std::chrono::hours(24)};
  }
  Lease JoinActive(bool looks = true) const {
    Lease lease = CoreLease::Join(Options(looks)).value();
    EXPECT_TRUE(lease->SetActive(true));
    return lease;
  }
  void Write(const std::string& text) const { std::ofstream(path_) << text; }
  std::string JoinError() const {
    const auto lease = CoreLease::Join(Options());
    if (lease) return "joined";
    EXPECT_EQ(lease.error().code, ErrorCode::kUnavailable);
    return lease.error().OneLine();
  }

  std::string directory_;
  std::string path_;
};

TEST_F(CoreLeaseTest, OneAloneHasAllItWantsWhileActive) {
  const Lease lease = CoreLease::Join(Options()).value();
  EXPECT_THAT(lease->cpus(), IsEmpty());
  EXPECT_EQ(lease->members(), 0U);
  ASSERT_TRUE(lease->SetActive(true));
  EXPECT_EQ(lease->cpus(), kFourCpus);
  EXPECT_EQ(lease->members(), 1U);
  EXPECT_FALSE(lease->Refresh());
  ASSERT_TRUE(lease->SetActive(false));
  EXPECT_THAT(lease->cpus(), IsEmpty());
  EXPECT_EQ(lease->members(), 0U);
}

TEST_F(CoreLeaseTest, ChangesAreSeenWithoutLookingForTheDead) {
  const Lease first = JoinActive(false);
  EXPECT_FALSE(first->Refresh());
  {
    const Lease second = JoinActive(false);
    EXPECT_THAT(second->cpus(), ElementsAre(2, 3));
    EXPECT_EQ(first->cpus(), kFourCpus);  // until it asks
    EXPECT_TRUE(first->Refresh());
    EXPECT_THAT(first->cpus(), ElementsAre(0, 1));
    EXPECT_EQ(first->members(), 2U);
    EXPECT_FALSE(first->Refresh());

    ASSERT_TRUE(second->SetActive(false));
    EXPECT_TRUE(first->Refresh());
    EXPECT_EQ(first->cpus(), kFourCpus);

    ASSERT_TRUE(second->SetActive(true));
    EXPECT_TRUE(first->Refresh());
    ASSERT_TRUE(first->SetActive(false));
    EXPECT_TRUE(second->Refresh());
    EXPECT_EQ(second->cpus(), kFourCpus);
    ASSERT_TRUE(first->SetActive(true));
    EXPECT_TRUE(second->Refresh());
    EXPECT_THAT(first->cpus(), ElementsAre(0, 1));
    EXPECT_THAT(second->cpus(), ElementsAre(2, 3));
  }
  EXPECT_TRUE(first->Refresh());
  EXPECT_EQ(first->cpus(), kFourCpus);
  EXPECT_EQ(first->members(), 1U);
}

TEST_F(CoreLeaseTest, EachHasItsOwnListAndCount) {
  CoreLeaseOptions options = Options();
  options.claim = {{3, 2, 9}, 2};
  const Lease first = CoreLease::Join(options).value();
  ASSERT_TRUE(first->SetActive(true));
  const Lease second = JoinActive();
  first->Refresh();
  EXPECT_THAT(first->cpus(), ElementsAre(3, 9));
  EXPECT_THAT(second->cpus(), ElementsAre(0, 1, 2));
}

TEST_F(CoreLeaseTest, AMemberTooManyIsRefusedUntilOneLeaves) {
  std::vector<Lease> leases;
  for (size_t i = 0; i < CoreLease::kMaxMembers; ++i) leases.push_back(JoinActive());
  EXPECT_EQ(leases.back()->members(), CoreLease::kMaxMembers);
  EXPECT_THAT(leases.back()->cpus(), ElementsAre(3));
  EXPECT_EQ(JoinError(), path_ +
                             ": 64 processes share cores already, at most 64 can; fix: end one of "
                             "them, or run without --share-cores");
  leases.erase(leases.begin() + 5);
  EXPECT_TRUE(CoreLease::Join(Options()));
}

TEST_F(CoreLeaseTest, TooManyCpusAreRefused) {
  CoreLeaseOptions options = Options();
  options.claim.cpus.assign(1025, 65536);
  const auto lease = CoreLease::Join(options);
  ASSERT_FALSE(lease);
  EXPECT_EQ(lease.error().OneLine(),
            "1025 CPUs up to number 65536 are to be shared, at most 1024 up to number 65535 can "
            "be; fix: run without --share-cores");
}

TEST_F(CoreLeaseTest, TheFileIsForItsUserAlone) {
  const Lease lease = JoinActive();
  struct stat file {};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 07777U, 0600U);
  EXPECT_EQ(CoreLease::DefaultPath(), fmt::format("/dev/shm/llm-run-cores-{}", ::geteuid()));
}

TEST_F(CoreLeaseTest, AForeignFileIsRefusedAndLeftAlone) {
  const std::string fix = "; fix: rm " + path_ + ", or run without --share-cores";
  for (const std::string text : {"x", "A file of somebody else, longer than a header."}) {
    Write(text);
    EXPECT_EQ(JoinError(), path_ + ": not a table of shared cores" + fix);
    std::ifstream in(path_);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
  }
  Write(std::string("LLMCORES\x02\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(
      JoinError(),
      path_ + ": the table of shared cores has version 2, this llm-run knows version 1" + fix);
}

TEST_F(CoreLeaseTest, WhatIsNoFileOfOursIsRefused) {
  ASSERT_EQ(::symlink("elsewhere", path_.c_str()), 0);
  EXPECT_THAT(JoinError(), HasSubstr("must not be a symbolic link; fix: rm "));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/elsewhere"));
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(JoinError(), HasSubstr("must be a regular file; fix: rm "));
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  EXPECT_EQ(JoinError(), path_ +
                             ": the table of shared cores cannot be opened: Is a directory; fix: "
                             "run without --share-cores");
}

TEST_F(CoreLeaseTest, TheFileOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Write("");
  ASSERT_EQ(::chown(path_.c_str(), 12345, 12345), 0);
  EXPECT_THAT(JoinError(), HasSubstr("belongs to user 12345, we are user 0; fix: rm "));
}

TEST_F(CoreLeaseTest, AnEmptyFileBecomesATable) {  // its maker was killed before the first write
  Write("");
  EXPECT_EQ(JoinActive()->cpus(), kFourCpus);
}

TEST_F(CoreLeaseTest, MembersMeetAgainAfterTheFileWasRemoved) {
  const Lease first = JoinActive();
  const Lease second = JoinActive();
  std::filesystem::remove(path_);
  const Lease third = JoinActive();
  EXPECT_EQ(third->cpus(), kFourCpus);
  first->Refresh();
  second->Refresh();
  for (const Lease* lease : {&first, &second, &third}) {
    (*lease)->Refresh();
    EXPECT_EQ((*lease)->members(), 3U);
  }
  EXPECT_THAT(third->cpus(), ElementsAre(0, 1));  // the first of the new file
  EXPECT_THAT(first->cpus(), ElementsAre(2));
  EXPECT_THAT(second->cpus(), ElementsAre(3));
}

TEST_F(CoreLeaseTest, AScribbledTableCostsNoCpuOfOurs) {
  const Lease first = JoinActive();
  const Lease second = JoinActive();
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  const auto size = static_cast<size_t>(std::filesystem::file_size(path_));
  std::mt19937 random(7);
  for (int round = 0; round < 150; ++round) {
    std::string noise(1 + random() % 3000, '\0');
    for (char& byte : noise) byte = static_cast<char>(round % 3 == 0 ? -1 : random());
    const auto offset = static_cast<off_t>(random() % size);
    ASSERT_EQ(::pwrite(fd.get(), noise.data(), noise.size(), offset),
              static_cast<ssize_t>(noise.size()));
    for (const Lease* lease : {&first, &second}) {
      (*lease)->Refresh();
      ASSERT_THAT((*lease)->cpus(), testing::Not(IsEmpty()));
      EXPECT_THAT(kFourCpus, testing::IsSupersetOf((*lease)->cpus()));
      EXPECT_GE((*lease)->members(), 1U);
      EXPECT_LE((*lease)->members(), 2U);
    }
  }
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  first->Refresh();
  EXPECT_EQ(first->cpus(), kFourCpus);
}

// A process of its own that ends when it is killed, or after a minute.
class LeaseChild {
 public:
  // `body(tell)` runs in the child, where tell(byte) is what Hear() returns here.
  template <typename Body>
  explicit LeaseChild(const Body& body) {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      ::alarm(60);
      body([&](char byte) {
        if (::write(fds[1], &byte, 1) != 1) ::_exit(1);
      });
      ::_exit(0);
    }
    ::close(fds[1]);
    heard_ = UniqueFd(fds[0]);
  }
  ~LeaseChild() { Kill(); }
  LeaseChild(const LeaseChild&) = delete;
  LeaseChild& operator=(const LeaseChild&) = delete;

  // -1: it ended without a word.
  int Hear() const {
    char byte = 0;
    return ::read(heard_.get(), &byte, 1) == 1 ? byte : -1;
  }
  void Stop() const { ::kill(pid_, SIGSTOP); }
  void Kill() {
    if (pid_ > 0 && ::kill(pid_, SIGKILL) == 0) ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  UniqueFd heard_;
};

TEST_F(CoreLeaseTest, WhatAKilledProcessHeldIsReclaimed) {
  LeaseChild child([&](auto tell) {
    const Lease lease = JoinActive();
    tell(1);
    ::pause();
  });
  ASSERT_EQ(child.Hear(), 1);
  const Lease looks = JoinActive();
  const Lease waits = JoinActive(false);
  looks->Refresh();
  EXPECT_EQ(looks->members(), 3U);
  EXPECT_THAT(looks->cpus(), ElementsAre(2));
  EXPECT_THAT(waits->cpus(), ElementsAre(3));
  child.Stop();  // stopped is not dead
  EXPECT_FALSE(looks->Refresh());
  child.Kill();
  EXPECT_FALSE(waits->Refresh());  // nothing was written, and its interval is not over
  EXPECT_TRUE(looks->Refresh());
  EXPECT_EQ(looks->members(), 2U);
  EXPECT_THAT(looks->cpus(), ElementsAre(0, 1));
  const Lease third = CoreLease::Join(Options()).value();  // says so in the dead one's slot
  EXPECT_TRUE(waits->Refresh());
  EXPECT_THAT(waits->cpus(), ElementsAre(2, 3));
}

TEST_F(CoreLeaseTest, NoChangeIsMissedHoweverManyThereAreAtOnce) {
  std::vector<std::unique_ptr<LeaseChild>> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<LeaseChild>([&](auto tell) {
      const Lease lease = CoreLease::Join(Options(false)).value();
      for (int round = 0; round < 200; ++round) {
        if (!lease->SetActive(round % 3 != 0)) ::_exit(1);
      }
      while (lease->members() != 4) lease->Refresh();
      tell(lease->cpus().size() == 1 ? static_cast<char>(lease->cpus()[0]) : -1);
      ::pause();
    }));
  }
  std::vector<int> cpus;
  for (const auto& child : children) cpus.push_back(child->Hear());
  EXPECT_THAT(cpus, testing::UnorderedElementsAre(0, 1, 2, 3));
}

TEST_F(CoreLeaseTest, KilledAtAnyPointNothingStaysBehind) {
  std::mt19937 random(11);
  std::vector<std::unique_ptr<LeaseChild>> children(4);
  for (int kill = 0; kill < 50; ++kill) {
    auto& child = children[random() % children.size()];
    const unsigned seed = static_cast<unsigned>(random());
    child.reset();
    child = std::make_unique<LeaseChild>([&](auto tell) {
      std::mt19937 own(seed);
      for (bool first = true;; first = false) {
        const Lease lease = CoreLease::Join(Options()).value();
        if (first) tell(1);
        for (unsigned i = own() % 8; i > 0; --i) {
          if (!lease->SetActive(own() % 2 == 0)) ::_exit(1);
          lease->Refresh();
        }
      }
    });
    ASSERT_EQ(child->Hear(), 1) << kill;
    ::usleep(static_cast<useconds_t>(random() % 3000));
    if (random() % 2 == 0) child->Kill();
  }
  const Lease among = JoinActive();
  EXPECT_THAT(among->cpus(), testing::Not(IsEmpty()));
  children.clear();
  among->Refresh();
  EXPECT_EQ(among->cpus(), kFourCpus);
  EXPECT_EQ(among->members(), 1U);
  std::vector<Lease> rest;
  for (size_t i = 1; i < CoreLease::kMaxMembers; ++i) rest.push_back(JoinActive());
  EXPECT_THAT(JoinError(), HasSubstr("64 processes share cores already"));
}

}  // namespace
}  // namespace llmrun
