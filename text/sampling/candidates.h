// The tokens that may come next, with their logits: what every step of the sampler works on. Memory
// is kept between calls of Fill().
//
// Threads: Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/token_id.h"

namespace llmrun {

struct Candidate {
  TokenId id;
  float logit;  // never NaN nor +infinity; -infinity: impossible
};

class Candidates {
 public:
  // All tokens. NaN counts as impossible, infinity as the largest number, so that differences of
  // logits stay numbers.
  void Fill(std::span<const float> logits);

  // Makes the others impossible; false when nothing possible is left.
  bool KeepAllowed(const std::vector<bool>& allowed);  // [token]

  // adjust(float logit, const Value&) -> float, for every candidate that has an entry.
  template <typename Value, typename Adjust>
  void AdjustThose(const std::unordered_map<TokenId, Value>& entries, Adjust&& adjust) {
    const auto set = [&](Candidate& c, const Value& value) {
      SetLogit(adjust(c.logit, value), &c);
    };
    if (every_token_) {
      for (const auto& [id, value] : entries) {
        if (id >= 0 && static_cast<size_t>(id) < list_.size()) {
          set(list_[static_cast<size_t>(id)], value);
        }
      }
      return;
    }
    for (Candidate& c : list_) {
      if (const auto entry = entries.find(c.id); entry != entries.end()) set(c, entry->second);
    }
  }
  // Divides all logits. Requires: divisor > 0.
  void Scale(double divisor);

  // Best first, of equals the lower id; without the impossible ones. A list may be empty then.
  std::span<const Candidate> Sorted();
  // As they are, without the impossible ones.
  std::span<const Candidate> Possible();
  // The first of the best; nullptr when all are impossible.
  const Candidate* Best() const;
  // Of each of Possible() in its order; they add up to 1. Valid until the next call.
  std::span<const double> Probabilities();

  // Of Sorted(): the best `count`, or all but the best `count`.
  void KeepBest(size_t count);
  void DropBest(size_t count);
  // keep(size_t index) -> bool, of Possible() in its order.
  template <typename Keep>
  void KeepWhere(Keep&& keep) {
    size_t kept = 0;
    for (size_t i = 0; i < list_.size(); ++i) {
      if (keep(i)) list_[kept++] = list_[i];
    }
    list_.resize(kept);
  }

 private:
  static bool Better(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }
  void SetLogit(float logit, Candidate* candidate);
  void DropImpossible();

  std::vector<Candidate> list_;
  std::vector<double> probabilities_;
  bool every_token_ = false;  // list_[i].id == i
  bool sorted_ = false;
};

}  // namespace llmrun
