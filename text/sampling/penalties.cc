#include "text/sampling/penalties.h"

namespace llmrun {

void Penalties::Accept(TokenId id) {
  if (off()) return;
  ++counts_[id];
  if (options_.last_n < 0) return;
  window_.push_back(id);
  if (window_.size() <= static_cast<size_t>(options_.last_n)) return;
  const auto oldest = counts_.find(window_.front());
  if (--oldest->second == 0) counts_.erase(oldest);
  window_.pop_front();
}

void Penalties::Apply(Candidates* candidates) const {
  if (off()) return;
  candidates->AdjustThose(counts_, [&](float logit, int count) {
    const float repeated = logit > 0 ? logit / options_.repeat : logit * options_.repeat;
    return repeated - static_cast<float>(count) * options_.frequency - options_.presence;
  });
}

}  // namespace llmrun
