// Perplexity: how surprised a model is by a text, exp of the mean negative log likelihood of its
// tokens; and how far two models' predictions lie apart (Kullback-Leibler divergence).
//
// Method, as in llama.cpp's llama-perplexity: the tokens are cut into chunks of n_ctx, of which the
// rest is dropped; the first of a chunk is replaced by BOS where the vocabulary has it put there;
// each chunk begins with an empty cache; the second half is scored, the tokens after position
// n_ctx / 2.
//
// Threads: Single-thread (they use the pool given). Sums are in double precision and in order: they
// do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/function_ref.h"
#include "model/session.h"
#include "sched/thread_pool.h"
#include "text/token_id.h"

namespace llmrun {

struct Estimate {
  double mean = 0;
  double error = 0;  // of the mean: one standard deviation
  uint64_t count = 0;
};

// Sums up values for their mean and how well it is known.
class MeanOf {
 public:
  void Add(double value);
  Estimate Get() const;
  double RootMeanSquare() const;

 private:
  double sum_ = 0;
  double squares_ = 0;
  uint64_t count_ = 0;
};

// exp(mean) of negative log likelihoods, and its error to first order.
Estimate PerplexityOf(const MeanOf& negative_log_likelihoods);

// Of a chunk, how many positions are scored.
inline int64_t ScoredOf(int64_t n_ctx) { return n_ctx - n_ctx / 2 - 1; }

// Runs one chunk of tokens on a session, which is emptied first. `visit` is called for the scored
// positions, some at a time: logits [next.size()][n_vocab], and the tokens that came next.
// Failure: kUsage when a chunk has fewer than four tokens; as Session::Forward().
using VisitScored =
    FunctionRef<Status(std::span<const float> logits, std::span<const TokenId> next)>;
Status RunChunk(Session& session, std::span<const TokenId> chunk, std::optional<TokenId> bos,
                VisitScored visit);

// Negative log likelihoods of the tokens that came next, [next.size()].
std::vector<double> NegativeLogLikelihoods(std::span<const float> logits,
                                           std::span<const TokenId> next, ThreadPool& pool);

// How the predictions of a model differ from those of its base, position by position.
class Divergence {
 public:
  // `base`: log likelihoods of all tokens, [next.size()][n_vocab], by the base.
  void Add(std::span<const float> base, std::span<const float> logits,
           std::span<const TokenId> next, ThreadPool& pool);

  const MeanOf& base_losses() const { return base_losses_; }  // negative log likelihoods
  const MeanOf& losses() const { return losses_; }
  const MeanOf& log_ratios() const { return log_ratios_; }  // loss less base loss
  const MeanOf& divergences() const { return divergences_; }
  const MeanOf& probability_changes() const { return probability_changes_; }
  const MeanOf& same_top() const { return same_top_; }  // 1 where both think alike, else 0
  // The divergence that a share of positions does not exceed. Requires: 0 <= share <= 1.
  double Quantile(double share) const;

 private:
  MeanOf base_losses_, losses_, log_ratios_, divergences_, probability_changes_, same_top_;
  std::vector<double> all_;
};

}  // namespace llmrun
