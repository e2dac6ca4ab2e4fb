#include "model/perplexity.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "model/log_sum_exp.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

// Calls work(i) for i in [0, n) on all members of a pool.
template <typename Work>
void ForAll(ThreadPool& pool, size_t n, const Work& work) {
  pool.Run([&](int member) {
    const Range range = StaticRange(static_cast<int64_t>(n), pool.size(), member);
    for (int64_t i = range.begin; i < range.end; ++i) work(static_cast<size_t>(i));
  });
}

size_t ArgMax(std::span<const float> values) {
  return static_cast<size_t>(std::ranges::max_element(values) - values.begin());
}

struct PositionScore {
  double base_loss = 0;
  double loss = 0;
  double divergence = 0;
  bool same_top = false;
};

PositionScore ScoreOf(std::span<const float> base, std::span<const float> logits, TokenId next) {
  const double total = LogSumExp(logits);
  PositionScore score;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double log_base = base[i];
    score.divergence += std::exp(log_base) * (log_base - (logits[i] - total));
  }
  score.base_loss = -base[static_cast<size_t>(next)];
  score.loss = total - logits[static_cast<size_t>(next)];
  score.same_top = ArgMax(base) == ArgMax(logits);
  return score;
}

}  // namespace

void MeanOf::Add(double value) {
  sum_ += value;
  squares_ += value * value;
  ++count_;
}

Estimate MeanOf::Get() const {
  if (count_ == 0) return {};
  const auto n = static_cast<double>(count_);
  Estimate estimate = {sum_ / n, 0, count_};
  const double variance = squares_ / n - estimate.mean * estimate.mean;
  if (variance > 0 && count_ > 1) estimate.error = std::sqrt(variance / (n - 1));
  return estimate;
}

double MeanOf::RootMeanSquare() const {
  return count_ == 0 ? 0 : std::sqrt(squares_ / static_cast<double>(count_));
}

Estimate PerplexityOf(const MeanOf& negative_log_likelihoods) {
  Estimate estimate = negative_log_likelihoods.Get();
  estimate.mean = std::exp(estimate.mean);
  estimate.error *= estimate.mean;
  return estimate;
}

Status RunChunk(Session& session, std::span<const TokenId> chunk, std::optional<TokenId> bos,
                VisitScored visit) {
  constexpr size_t kLeastChunk = 4;
  constexpr size_t kTogether = 128;  // their logits are in memory at once
  if (chunk.size() < kLeastChunk) {
    return MakeError(ErrorCode::kUsage, "a context of {}: at least {} tokens are needed",
                     chunk.size(), kLeastChunk);
  }
  for (const TokenId id : chunk) {
    if (id >= 0 && id < session.n_vocab()) continue;
    return MakeError(ErrorCode::kUsage, "token {}: the vocabulary has {} tokens", id,
                     session.n_vocab());
  }
  session.Truncate(0);
  std::vector<TokenId> tokens(chunk.begin(), chunk.end());
  if (bos) tokens.front() = *bos;
  const std::span<const TokenId> all = tokens;
  const size_t first = all.size() / 2;
  RETURN_IF_ERROR(session.Forward(all.first(first), LogitsOf::kLast));
  const size_t last = all.size() - 1;  // predicts nothing that is there
  for (size_t at = first; at < last; at += kTogether) {
    const size_t n = std::min(kTogether, last - at);
    ASSIGN_OR_RETURN(const std::span<const float> logits,
                     session.Forward(all.subspan(at, n), LogitsOf::kAll));
    RETURN_IF_ERROR(visit(logits, all.subspan(at + 1, n)));
  }
  return {};
}

std::vector<double> NegativeLogLikelihoods(std::span<const float> logits,
                                           std::span<const TokenId> next, ThreadPool& pool) {
  std::vector<double> losses(next.size());
  const size_t n_vocab = logits.size() / std::max<size_t>(1, next.size());
  ForAll(pool, next.size(), [&](size_t i) {
    const std::span<const float> row = logits.subspan(i * n_vocab, n_vocab);
    losses[i] = LogSumExp(row) - row[static_cast<size_t>(next[i])];
  });
  return losses;
}

void Divergence::Add(std::span<const float> base, std::span<const float> logits,
                     std::span<const TokenId> next, ThreadPool& pool) {
  CHECK(base.size() == logits.size());
  std::vector<PositionScore> scores(next.size());
  const size_t n_vocab = logits.size() / std::max<size_t>(1, next.size());
  ForAll(pool, next.size(), [&](size_t i) {
    scores[i] =
        ScoreOf(base.subspan(i * n_vocab, n_vocab), logits.subspan(i * n_vocab, n_vocab), next[i]);
  });
  for (const PositionScore& score : scores) {
    base_losses_.Add(score.base_loss);
    losses_.Add(score.loss);
    log_ratios_.Add(score.loss - score.base_loss);
    divergences_.Add(score.divergence);
    probability_changes_.Add(std::exp(-score.loss) - std::exp(-score.base_loss));
    same_top_.Add(score.same_top ? 1 : 0);
    all_.push_back(score.divergence);
  }
}

double Divergence::Quantile(double share) const {
  if (all_.empty()) return 0;
  std::vector<double> sorted = all_;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
  std::ranges::nth_element(sorted, sorted.begin() + at);
  return sorted[static_cast<size_t>(at)];
}

}  // namespace llmrun
