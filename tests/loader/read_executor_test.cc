#include "loader/io/read_executor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <set>

#include "base/checked.h"
#include "tests/support/fault_backend.h"

namespace llmrun {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint64_t kAlignment = 512;
constexpr std::byte kCanary{0xa5};

Bytes RandomBytes(size_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(n);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

// Aligned memory with canaries around every job's destination.
class Destinations {
 public:
  explicit Destinations(uint64_t bytes)
      : storage_(bytes + 2 * kAlignment, kCanary), bytes_(bytes) {}
  std::byte* at(uint64_t offset) { return Base() + offset; }
  std::byte* Base() {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    return storage_.data() + (AlignUp(address, kAlignment) - address);
  }
  Bytes Copy() { return Bytes(Base(), Base() + bytes_); }

 private:
  Bytes storage_;
  uint64_t bytes_;
};

// A file cut into jobs of `job_bytes`, each with kAlignment bytes of canary after its destination,
// or side by side as the executor joins them.
struct Layout {
  Layout(uint64_t file_bytes, uint64_t job_bytes, bool joined = false) {
    for (uint64_t offset = 0; offset < file_bytes; offset += job_bytes) {
      const uint64_t bytes = std::min(AlignUp(file_bytes - offset, kAlignment), job_bytes);
      jobs.push_back({.id = 100 + jobs.size(),
                      .file = 0,
                      .offset = offset,
                      .bytes = bytes,
                      .must_bytes = std::min(bytes, file_bytes - offset),
                      .destination = nullptr});
      const uint64_t gap = joined && jobs.size() > 1 ? 0 : kAlignment;
      places.push_back(total_bytes + gap);
      total_bytes += gap + bytes;
    }
    total_bytes += kAlignment;
    memory = std::make_unique<Destinations>(total_bytes);
    for (size_t i = 0; i < jobs.size(); ++i) jobs[i].destination = memory->at(places[i]);
  }

  std::vector<ReadJob> jobs;
  std::vector<uint64_t> places;
  uint64_t total_bytes = 0;
  std::unique_ptr<Destinations> memory;
};

// True when every byte outside the destinations still is the canary.
bool CanariesAlive(Layout& layout) {
  Bytes copy = layout.memory->Copy();
  for (size_t i = 0; i < layout.jobs.size(); ++i) {
    std::memset(copy.data() + layout.places[i], static_cast<int>(kCanary), layout.jobs[i].bytes);
  }
  const Bytes alive(copy.size(), kCanary);
  return std::memcmp(copy.data(), alive.data(), copy.size()) == 0;
}

bool SameAsFile(const Layout& layout, const Bytes& file) {
  for (const ReadJob& job : layout.jobs) {
    if (std::memcmp(job.destination, file.data() + job.offset, job.must_bytes) != 0) return false;
  }
  return true;
}

std::vector<ReadFile> OneFile(bool direct) {
  return {{.label = "model.gguf", .direct = direct, .direct_alignment = kAlignment}};
}

TEST(RunReads, PlainReadsLandOnceEach) {
  const Bytes file = RandomBytes(10'000, 1);
  Layout layout(file.size(), 2048);
  FaultBackend backend({file}, {.capacity = 3});
  std::multiset<uint64_t> landed;
  const auto result =
      RunReads(backend, layout.jobs, OneFile(true), {}, [&](uint64_t id) { landed.insert(id); });
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(landed, (std::multiset<uint64_t>{100, 101, 102, 103, 104}));
  EXPECT_EQ(result->read_bytes, 10'000U);
  EXPECT_EQ(result->direct_bytes, 10'000U);
  EXPECT_EQ(result->requests, 5U);
  EXPECT_EQ(result->retries, 0U);
  EXPECT_TRUE(result->fallbacks.empty());
  EXPECT_TRUE(SameAsFile(layout, file));
  EXPECT_TRUE(CanariesAlive(layout));
}

TEST(RunReads, JobsSideBySideGoOutAsOneRequest) {
  const Bytes file = RandomBytes(40 * kAlignment + 7, 4);
  Layout layout(file.size(), kAlignment, true);
  FaultBackend backend({file}, {.capacity = 3});
  std::multiset<uint64_t> landed;
  ExecutorOptions options;
  options.request_bytes = 8 * kAlignment;
  std::vector<uint64_t> prepared;
  options.prepare = [&](uint64_t id) {
    prepared.push_back(id);
    return Status();
  };
  const auto result = RunReads(backend, layout.jobs, OneFile(true), options,
                               [&](uint64_t id) { landed.insert(id); });
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(landed.size(), 41U);
  EXPECT_EQ(std::set<uint64_t>(landed.begin(), landed.end()).size(), 41U);
  EXPECT_EQ(prepared.size(), 41U);
  EXPECT_LE(result->requests, 7U);
  EXPECT_EQ(result->retries, 0U);
  EXPECT_TRUE(SameAsFile(layout, file));
  EXPECT_TRUE(CanariesAlive(layout));
}

TEST(RunReads, APreparationThatFailsEndsTheRun) {
  const Bytes file = RandomBytes(10'000, 1);
  Layout layout(file.size(), 2048);
  FaultBackend backend({file}, {.capacity = 1});
  ExecutorOptions options;
  options.prepare = [](uint64_t id) -> Status {
    if (id == 102) return MakeError(ErrorCode::kResource, "no pages");
    return {};
  };
  const auto result = RunReads(backend, layout.jobs, OneFile(true), options, [](uint64_t) {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "no pages");
  EXPECT_EQ(backend.in_flight(), 0U);
}

// Any schedule ends in the same bytes or in an error that was really given, with nothing in flight
// and nothing written outside of the destinations.
TEST(RunReads, HundredThousandSchedules) {
  uint64_t finished = 0;
  uint64_t failed = 0;
  const Bytes random = RandomBytes(8192, 1);
  for (uint64_t seed = 0; seed < 100'000; ++seed) {
    const auto first = random.begin() + static_cast<ptrdiff_t>(seed % 2039);
    const Bytes file(first, first + static_cast<ptrdiff_t>(1 + seed % 6000));
    const bool joined = seed % 2 == 1;
    Layout layout(file.size(), kAlignment * (1 + seed % 5), joined);
    ExecutorOptions options;
    options.request_bytes = kAlignment * (1 + seed % 13);
    const bool direct = seed % 3 != 0;
    FaultBackend backend({file}, {.seed = seed,
                                  .capacity = static_cast<uint32_t>(1 + seed % 9),
                                  .direct_alignment = kAlignment,
                                  .refuse_direct = seed % 11 == 0,
                                  .short_permille = static_cast<uint32_t>(seed % 7 * 120),
                                  .again_permille = static_cast<uint32_t>(seed % 4 * 150),
                                  .error_permille = seed % 5 == 0 ? 20U : 0U});
    uint64_t landed_bytes = 0;
    const auto result = RunReads(backend, layout.jobs, OneFile(direct), options, [&](uint64_t id) {
      landed_bytes += layout.jobs[id - 100].must_bytes;
    });
    ASSERT_EQ(backend.in_flight(), 0U) << "seed " << seed;
    ASSERT_EQ(backend.misaligned(), 0U) << "seed " << seed;
    ASSERT_TRUE(CanariesAlive(layout)) << "seed " << seed;
    // An error of a joined request is given a second chance, job by job.
    if (backend.errors_given() == 0 || !joined) {
      ASSERT_EQ(result.has_value(), backend.errors_given() == 0)
          << "seed " << seed << (result ? "" : result.error().OneLine());
    }
    if (!result) {
      ASSERT_EQ(result.error().code, ErrorCode::kOs);
      ++failed;
      continue;
    }
    ASSERT_TRUE(SameAsFile(layout, file)) << "seed " << seed;
    ASSERT_EQ(landed_bytes, file.size());
    ASSERT_EQ(result->read_bytes, file.size());
    ASSERT_LE(result->direct_bytes, result->read_bytes);
    ASSERT_EQ(result->fallbacks.size(), direct && seed % 11 == 0 ? 1U : 0U) << "seed " << seed;
    ++finished;
  }
  EXPECT_GT(finished, 75'000U);
  EXPECT_GT(failed, 500U);
}

// Truncated at any byte: the error names the file, where it ends and what was expected.
TEST(RunReads, TruncatedFileIsNamed) {
  for (const bool direct : {false, true}) {
    for (const uint64_t there : {0, 1, 511, 512, 600, 1024, 4999}) {
      Bytes file = RandomBytes(5000, 3);
      Layout layout(file.size(), 8192);
      file.resize(there);
      FaultBackend backend({file}, {});
      const auto result = RunReads(backend, layout.jobs, OneFile(direct), {}, {});
      ASSERT_FALSE(result);
      EXPECT_EQ(result.error().code, ErrorCode::kBadData);
      EXPECT_EQ(result.error().message,
                fmt::format("model.gguf: the file ends at byte {}, expected at least 5000 bytes "
                            "(truncated while loading?)",
                            there));
      EXPECT_EQ(backend.in_flight(), 0U);
    }
  }
}

TEST(RunReads, DeviceErrorNamesFileAndPlace) {
  const Bytes file = RandomBytes(4096, 4);
  Layout layout(file.size(), 4096);
  FaultBackend backend({file}, {.error_permille = 1000});
  const auto result = RunReads(backend, layout.jobs, OneFile(true), {}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kOs);
  EXPECT_EQ(result.error().message, "model.gguf: reading 4096 bytes at byte 0: Input/output error");
}

TEST(RunReads, EndlessEagainIsAnErrorAfterTheLimit) {
  const Bytes file = RandomBytes(4096, 5);
  Layout layout(file.size(), 4096);
  FaultBackend backend({file}, {.again_permille = 1000});
  const auto result = RunReads(backend, layout.jobs, OneFile(true), {.max_retries = 5}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kOs);
  EXPECT_EQ(backend.in_flight(), 0U);
}

TEST(RunReads, RefusedDirectIoGoesThroughThePageCacheAndIsSaidOnce) {
  const Bytes file = RandomBytes(9000, 6);
  Layout layout(file.size(), 1024);
  FaultBackend backend({file}, {.refuse_direct = true});
  const auto result = RunReads(backend, layout.jobs, OneFile(true), {}, {});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_TRUE(SameAsFile(layout, file));
  EXPECT_EQ(result->direct_bytes, 0U);
  ASSERT_EQ(result->fallbacks.size(), 1U);
  EXPECT_EQ(result->fallbacks[0].wanted, "direct I/O for model.gguf");
  EXPECT_NE(result->fallbacks[0].why.find("Invalid argument"), std::string::npos);
}

// The worked example at the top of read_executor.cc.
TEST(RunReads, ShortDirectReadIsRealigned) {
  class Scripted final : public ReadBackend {
   public:
    std::string_view Name() const override { return "scripted"; }
    uint32_t Capacity() const override { return 1; }
    Result<size_t> Submit(std::span<const ReadRequest> batch) override {
      requests.push_back(batch.front());
      return 1;
    }
    Result<size_t> Reap(std::span<ReadCompletion> completions) override {
      const auto asked = static_cast<int64_t>(requests.back().bytes);
      completions[0] = {requests.back().tag, requests.size() == 1 ? 5000 : asked};
      return 1;
    }
    std::vector<ReadRequest> requests;
  };
  Scripted backend;
  std::vector<std::byte> memory(12'288);
  const std::vector<ReadJob> jobs = {{.id = 0,
                                      .file = 0,
                                      .offset = 8192,
                                      .bytes = 12'288,
                                      .must_bytes = 12'288,
                                      .destination = memory.data()}};
  const auto result = RunReads(backend, jobs, OneFile(true), {}, {});
  ASSERT_TRUE(result);
  ASSERT_EQ(backend.requests.size(), 2U);
  EXPECT_EQ(backend.requests[1].offset, 12'800U);
  EXPECT_EQ(backend.requests[1].bytes, 7680U);
  EXPECT_EQ(backend.requests[1].destination, memory.data() + 4608);
  EXPECT_TRUE(backend.requests[1].direct);
  EXPECT_EQ(result->read_bytes, 12'288U);
  EXPECT_EQ(result->direct_bytes, 12'288U);
}

TEST(RunReads, CancellingDrains) {
  const Bytes file = RandomBytes(100'000, 7);
  Layout layout(file.size(), 512);
  FaultBackend backend({file}, {.capacity = 16});
  std::atomic<bool> cancelled{false};
  uint64_t landed = 0;
  const auto result = RunReads(
      backend, layout.jobs, OneFile(true), {}, [&](uint64_t) { cancelled = ++landed >= 20; },
      &cancelled);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "cancelled");
  EXPECT_EQ(backend.in_flight(), 0U);
  EXPECT_LT(landed, layout.jobs.size());
}

TEST(RunReads, NothingToReadIsDoneAtOnce) {
  FaultBackend backend({}, {});
  const auto result = RunReads(backend, {}, {}, {}, {});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->requests, 0U);
}

}  // namespace
}  // namespace llmrun
