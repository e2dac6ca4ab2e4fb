// Logits under every scheduling policy of the threads that compute: the bits of the default one.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/session.h"
#include "sched/sched_policy.h"
#include "sched/team.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

const std::vector<TokenId> kPromptOfPolicies = {1,  270, 31, 300, 5,   262, 299, 281, 17,
                                                44, 260, 7,  319, 288, 3,   100, 261};

struct PolicyRun {
  int threads = 1;
  bool resized = false;  // another size of the team for each batch
  std::optional<SchedPolicy> policy = {};
};

// The bits of the logits of all tokens of the prompt, and of each of a few decoded ones.
Result<std::vector<uint32_t>> LogitBits(const LoadedModel& model, const PolicyRun& run) {
  ThreadPoolOptions pool_options{.threads = run.threads, .cpus = {}};
  pool_options.effective_cpus = run.threads;  // so that it spins where it may
  pool_options.policy = run.policy;
  ASSIGN_OR_RETURN(const auto pool, ThreadPool::Create(pool_options));
  for (const pid_t id : pool->thread_ids()) {
    EXPECT_EQ(PolicyOf(id), run.policy.value_or(SchedPolicy()));
  }
  SessionOptions options;
  options.isa = SupportedIsaLevels().back();
  options.n_batch = 5;
  int batches = 0;
  options.before_batch = [&](int64_t /*n_tokens*/) {
    if (!run.resized) return;
    std::vector<double> weights(static_cast<size_t>(run.threads), 0.0);
    std::fill_n(weights.begin(), 1 + batches++ % run.threads, 1.0);
    const std::vector<std::optional<unsigned>> nodes(weights.size());
    pool->SetTeam(std::make_shared<const Team>(nodes, weights));
  };
  ASSIGN_OR_RETURN(const auto session, model.NewSession(*pool, options));
  std::vector<uint32_t> bits;
  std::vector<TokenId> next = kPromptOfPolicies;
  for (int step = 0; step < 12; ++step) {
    ASSIGN_OR_RETURN(const std::span<const float> logits, session->Forward(next, LogitsOf::kAll));
    std::ranges::transform(logits, std::back_inserter(bits), std::bit_cast<uint32_t, float>);
    const auto last = logits.last(static_cast<size_t>(session->n_vocab()));
    next = {static_cast<TokenId>(std::ranges::max_element(last) - last.begin())};
  }
  return bits;
}

class SessionPolicy : public testing::TestWithParam<const char*> {};

TEST_P(SessionPolicy, HasTheBitsOfTheDefault) {
  const SchedPolicy policy = ParseSchedPolicy(GetParam()).value();
  for (const DType dtype : {DType::kF32, DType::kQ8_0}) {
    const TempFile file(BuildTinyLlama({.dtype = dtype}));
    const auto model = LoadedModel::Start(file.path()).value();
    const std::vector<uint32_t> expected = LogitBits(*model, {}).value();
    ASSERT_EQ(expected.size(), (kPromptOfPolicies.size() + 11) * 320);
    // The pool's caller is a thread of its own: from some policies there is no way back.
    std::thread([&] {
      for (const int threads : {2, 5}) {
        for (const bool resized : {false, true}) {
          const auto bits = LogitBits(*model, {threads, resized, policy});
          if (!bits && IsRealtime(policy) && bits.error().code == ErrorCode::kUnavailable) {
            GTEST_SKIP() << bits.error().OneLine();
          }
          ASSERT_TRUE(bits) << bits.error().OneLine();
          EXPECT_TRUE(*bits == expected)
              << NameOf(dtype) << ", " << threads << " threads, resized: " << resized;
        }
      }
    }).join();
  }
}

INSTANTIATE_TEST_SUITE_P(All, SessionPolicy,
                         testing::Values("other", "batch", "idle", "fifo:1", "fifo:50", "rr:1",
                                         "rr:50"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::ranges::replace(name, ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace llmrun
