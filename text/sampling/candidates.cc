#include "text/sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmrun {

namespace {

float Sane(float logit) {
  if (std::isnan(logit)) return -std::numeric_limits<float>::infinity();
  return std::min(logit, std::numeric_limits<float>::max());
}

}  // namespace

void Candidates::Fill(std::span<const float> logits) {
  list_.clear();
  list_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    list_.push_back({static_cast<TokenId>(i), Sane(logits[i])});
  }
  every_token_ = true;
  sorted_ = false;
}

bool Candidates::KeepAllowed(const std::vector<bool>& allowed) {
  for (Candidate& c : list_) {
    const auto id = static_cast<size_t>(c.id);
    if (id >= allowed.size() || !allowed[id]) c.logit = -std::numeric_limits<float>::infinity();
  }
  sorted_ = false;
  return Best() != nullptr;
}

void Candidates::SetLogit(float logit, Candidate* candidate) {
  candidate->logit = Sane(logit);
  sorted_ = false;
}

void Candidates::Scale(double divisor) {
  for (Candidate& c : list_) {
    const double scaled = double{c.logit} / divisor;
    // What was possible stays so.
    const double least = std::numeric_limits<float>::lowest();
    c.logit = std::isinf(c.logit) ? c.logit : static_cast<float>(std::clamp(scaled, least, -least));
  }
}

void Candidates::DropImpossible() {
  const size_t removed =
      std::erase_if(list_, [](const Candidate& c) { return std::isinf(c.logit); });
  if (removed > 0) every_token_ = false;
}

std::span<const Candidate> Candidates::Possible() {
  DropImpossible();
  return list_;
}

std::span<const Candidate> Candidates::Sorted() {
  DropImpossible();
  if (!sorted_) std::sort(list_.begin(), list_.end(), Better);
  sorted_ = true;
  every_token_ = false;
  return list_;
}

const Candidate* Candidates::Best() const {
  const auto best = std::min_element(list_.begin(), list_.end(), Better);
  return best == list_.end() || std::isinf(best->logit) ? nullptr : &*best;
}

std::span<const double> Candidates::Probabilities() {
  DropImpossible();
  probabilities_.clear();
  const Candidate* const best = Best();
  if (best == nullptr) return probabilities_;
  double total = 0;
  for (const Candidate& c : list_) {
    probabilities_.push_back(std::exp(double{c.logit} - double{best->logit}));
    total += probabilities_.back();
  }
  for (double& p : probabilities_) p /= total;
  return probabilities_;
}

void Candidates::KeepBest(size_t count) {
  DropImpossible();
  if (count < list_.size() && !sorted_) {
    // Cheaper than sorting what is dropped.
    const auto end = list_.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(list_.begin(), end, list_.end(), Better);
  }
  if (count < list_.size()) list_.resize(count);
  (void)Sorted();
}

void Candidates::DropBest(size_t count) {
  (void)Sorted();
  count = std::min(count, list_.size());
  list_.erase(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace llmrun
