// Perplexity by the method of others: their values; means, divergences, and the file of log
// likelihoods.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "model/log_prob_file.h"
#include "model/log_sum_exp.h"
#include "model/perplexity.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/loaded_model.h"
#include "tests/support/oracle.h"

namespace llmrun {
namespace {

TEST(PerplexityMeans, KnowHowWellTheyAreKnown) {
  MeanOf mean;
  EXPECT_EQ(mean.Get().mean, 0);
  for (const double value : {1.0, 2.0, 3.0, 4.0}) mean.Add(value);
  EXPECT_DOUBLE_EQ(mean.Get().mean, 2.5);
  EXPECT_DOUBLE_EQ(mean.Get().error, std::sqrt(1.25 / 3));
  EXPECT_DOUBLE_EQ(mean.RootMeanSquare(), std::sqrt(7.5));
  EXPECT_DOUBLE_EQ(PerplexityOf(mean).mean, std::exp(2.5));
  EXPECT_DOUBLE_EQ(PerplexityOf(mean).error, std::exp(2.5) * std::sqrt(1.25 / 3));
}

TEST(PerplexityMeans, LogSumExpDoesNotOverflow) {
  const std::vector<float> logits = {1000, 1000, -1000};
  EXPECT_DOUBLE_EQ(LogSumExp(logits), 1000 + std::log(2.0));
}

// Two predictions of three tokens by hand.
TEST(PerplexityDivergence, IsThatOfItsDefinition) {
  const std::vector<double> p = {0.5, 0.25, 0.25, 0.2, 0.2, 0.6};
  const std::vector<double> q = {0.25, 0.5, 0.25, 0.1, 0.1, 0.8};
  std::vector<float> base;
  std::vector<float> logits;
  for (size_t i = 0; i < p.size(); ++i) {
    base.push_back(static_cast<float>(std::log(p[i])));
    logits.push_back(static_cast<float>(std::log(q[i]) + 3));
  }
  const std::vector<TokenId> next = {0, 2};
  const auto pool = MakeTestPool(2);
  Divergence divergence;
  divergence.Add(base, logits, next, *pool);
  const double first = 0.5 * std::log(2.0) - 0.25 * std::log(2.0);
  const double second = 0.4 * std::log(2.0) + 0.6 * std::log(0.75);
  EXPECT_NEAR(divergence.divergences().Get().mean, (first + second) / 2, 1e-6);
  EXPECT_NEAR(divergence.Quantile(1), first, 1e-6);
  EXPECT_NEAR(divergence.Quantile(0), second, 1e-6);
  EXPECT_EQ(divergence.same_top().Get().mean, 0.5);
  EXPECT_NEAR(divergence.base_losses().Get().mean, -(std::log(0.5) + std::log(0.6)) / 2, 1e-6);
  EXPECT_NEAR(divergence.losses().Get().mean, -(std::log(0.25) + std::log(0.8)) / 2, 1e-6);
  EXPECT_NEAR(divergence.probability_changes().Get().mean, (-0.25 + 0.2) / 2, 1e-6);
}

class PerplexityOracle : public ::testing::TestWithParam<const char*> {};

TEST_P(PerplexityOracle, IsThatOfOthers) {
  const std::filesystem::path root = OracleRoot();
  const std::filesystem::path path = root / GetParam() / "model.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no oracle data at " << path;
  const auto meta = nlohmann::json::parse(ReadAll(root / "perplexity/meta.json"));
  const auto tokenizer = LoadTokenizer(path).value();
  const std::vector<TokenId> tokens =
      tokenizer->Encode(ReadAll(root / "perplexity/text.txt"), {.add_special = true});
  const auto first_ids = meta["first_ids"].get<std::vector<TokenId>>();
  ASSERT_TRUE(std::equal(first_ids.begin(), first_ids.end(), tokens.begin()));
  const auto& want = meta["results"][GetParam()];
  const auto n_ctx = want["n_ctx"].get<size_t>();
  const auto model = LoadedModel::Start(path).value();
  const auto pool = MakeTestPool(2);
  const auto session = model
                           ->NewSession(*pool, {.n_ctx = static_cast<int64_t>(n_ctx),
                                                .kv_type = DType::kF16,
                                                .isa = SupportedIsaLevels().back()})
                           .value();
  MeanOf losses;
  const std::span<const TokenId> all = tokens;
  for (size_t at = 0; at + n_ctx <= all.size(); at += n_ctx) {
    const auto visit = [&](std::span<const float> logits, std::span<const TokenId> next) -> Status {
      for (const double loss : NegativeLogLikelihoods(logits, next, *pool)) losses.Add(loss);
      return {};
    };
    ASSERT_TRUE(RunChunk(*session, all.subspan(at, n_ctx), tokenizer->spec().bos, visit));
  }
  const Estimate got = PerplexityOf(losses);
  EXPECT_EQ(got.count, want["scored_tokens"].get<uint64_t>());
  EXPECT_NEAR(got.mean / want["float64_dequantized"].get<double>(), 1, 0.002);
  EXPECT_NEAR(got.error / want["stderr"].get<double>(), 1, 0.01);
}
INSTANTIATE_TEST_SUITE_P(Models, PerplexityOracle,
                         ::testing::Values("quant/llama-f16", "quant/llama-q4_k"));

// --- the file of log likelihoods ---

// Tests run beside each other, a process each.
std::string LogProbPath() {
  return ::testing::TempDir() + "llmrun-logprobs-" + std::to_string(::getpid()) + ".lp";
}

std::vector<float> WriteLogProbs(const LogProbHead& head) {
  std::vector<float> logits(head.rows() * head.n_vocab);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(std::sin(static_cast<double>(i)) * 9);
  }
  auto writer = LogProbWriter::Create(LogProbPath(), head).value();
  const size_t half = logits.size() / 2;
  EXPECT_TRUE(writer.Add(std::span(logits).first(half)));
  EXPECT_TRUE(writer.Add(std::span(logits).subspan(half)));
  EXPECT_TRUE(writer.Commit());
  return logits;
}

TEST(LogProbFile, GivesBackWhatWasWritten) {
  LogProbHead head = {.n_vocab = 7, .n_ctx = 6, .tokens = {1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5}};
  ASSERT_EQ(head.rows(), 4U);
  const std::vector<float> logits = WriteLogProbs(head);
  auto reader = LogProbReader::Open(LogProbPath()).value();
  EXPECT_EQ(reader.head().tokens, head.tokens);
  EXPECT_EQ(reader.head().n_ctx, 6U);
  for (size_t row = 0; row < 4; ++row) {
    const std::span<const float> want = std::span(logits).subspan(row * 7, 7);
    const std::vector<float> got = reader.Read(1).value();
    for (size_t i = 0; i < 7; ++i) {
      EXPECT_NEAR(got[i], want[i] - LogSumExp(want), 18.0 / 65535) << row << ' ' << i;
    }
  }
  std::filesystem::remove(LogProbPath());
}

TEST(LogProbFile, RefusesWhatIsDamaged) {
  const LogProbHead head = {.n_vocab = 7, .n_ctx = 6, .tokens = {1, 2, 3, 4, 5, 6}};
  WriteLogProbs(head);
  const std::string bytes = ReadAll(LogProbPath());
  const auto open = [](const std::string& content) {
    return LogProbReader::Open(
        std::make_unique<MemByteSource>(std::as_bytes(std::span(content)), "test.lp"));
  };
  EXPECT_TRUE(open(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(open(bytes.substr(0, n))) << n;
  EXPECT_FALSE(open(bytes + "more"));
  for (const size_t at : {size_t{0}, size_t{8}, size_t{12}, size_t{16}, size_t{20}}) {
    std::string changed = bytes;
    changed[at] = '\xFF';
    EXPECT_FALSE(open(changed)) << at;
  }
  std::filesystem::remove(LogProbPath());
}

}  // namespace
}  // namespace llmrun
