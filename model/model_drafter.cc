#include "model/model_drafter.h"

#include <algorithm>
#include <cmath>

#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

// Of the largest logit, among all.
double ProbabilityOf(float best, std::span<const float> logits) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - best);
  return 1 / sum;
}

}  // namespace

Result<std::vector<TokenId>> ModelDrafter::Draft(std::span<const TokenId> tokens, size_t most) {
  std::vector<TokenId> drafts;
  const auto n_ctx = static_cast<size_t>(session_.n_ctx());
  if (tokens.empty() || tokens.size() > n_ctx) return drafts;
  // Tokens that it does not have, it cannot go on from.
  const auto known = [&](TokenId id) { return id < session_.n_vocab(); };
  const auto kept = static_cast<size_t>(session_.KeepPrefix(tokens));
  std::span<const TokenId> next = tokens.subspan(kept);
  if (!std::ranges::all_of(next, known)) return drafts;
  most = std::min(most, n_ctx - tokens.size() + 1);
  while (drafts.size() < most) {
    const Result<std::span<const float>> logits = session_.Forward(next, LogitsOf::kLast);
    if (!logits && session_.interrupted()) return std::vector<TokenId>();
    RETURN_IF_ERROR(logits);
    const auto best = std::ranges::max_element(*logits);
    const auto id = static_cast<TokenId>(best - logits->begin());
    if (id >= n_vocab_ || !(ProbabilityOf(*best, *logits) >= min_probability_)) break;
    drafts.push_back(id);
    next = std::span(drafts).last(1);
  }
  return drafts;
}

Status CheckSameTokens(const TokenizerSpec& model, const std::string& model_label,
                       const TokenizerSpec& draft, const std::string& draft_label) {
  const auto differ = std::ranges::mismatch(model.tokens, draft.tokens);
  if (differ.in1 == model.tokens.end() || differ.in2 == draft.tokens.end()) return {};
  return MakeFixableError(ErrorCode::kUsage, "a draft model of the same family, or none",
                          "{} cannot guess for {}: expected the same vocabulary, found token {} to "
                          "be {} there and {} here",
                          draft_label, model_label, differ.in1 - model.tokens.begin(),
                          Quoted(*differ.in2), Quoted(*differ.in1));
}

}  // namespace llmrun
