#include "text/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace llmrun {

namespace {

// One step of splitmix64 (Steele, Lea & Flood 2014): spreads a seed over the generator's state.
uint64_t SplitMix64(uint64_t* state) {
  *state += 0x9E3779B97F4A7C15U;
  uint64_t z = *state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

// NaN counts as impossible. Infinity is brought down to the largest number, so that differences of
// logits stay numbers.
float Sane(float logit) {
  if (std::isnan(logit)) return -std::numeric_limits<float>::infinity();
  return std::min(logit, std::numeric_limits<float>::max());
}

tl::unexpected<Error> OutOfRange(const char* name, double value, const char* range) {
  return MakeError(ErrorCode::kUsage, "sampling: {} is {}, must be {}", name, value, range);
}

}  // namespace

Result<Sampler> Sampler::Create(const SamplerOptions& o) {
  // Written so that NaN fails each of them.
  if (!(o.temperature >= 0 && std::isfinite(o.temperature))) {
    return OutOfRange("temperature", o.temperature, "0 or more");
  }
  if (!(o.top_p >= 0)) return OutOfRange("top-p", o.top_p, "0 to 1");
  if (!(o.min_p <= 1)) return OutOfRange("min-p", o.min_p, "0 to 1");
  if (!(o.repeat_penalty > 0 && std::isfinite(o.repeat_penalty))) {
    return OutOfRange("repetition penalty", o.repeat_penalty, "above 0");
  }
  if (o.repeat_last_n < 0) return OutOfRange("repeat-last-n", o.repeat_last_n, "0 or more");
  return Sampler(o);
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
  uint64_t seed = options.seed;
  for (uint64_t& word : state_) word = SplitMix64(&seed);
}

// xoshiro256** (Blackman & Vigna 2021).
uint64_t Sampler::NextRandom() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void Sampler::Accept(TokenId id) {
  history_.push_back(id);
  while (history_.size() > static_cast<size_t>(options_.repeat_last_n)) history_.pop_front();
}

void Sampler::FillCandidates(std::span<const float> logits) {
  candidates_.clear();
  candidates_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_.push_back({static_cast<TokenId>(i), Sane(logits[i])});
  }
  if (options_.repeat_penalty == 1.0F) return;
  std::vector<TokenId> recent(history_.begin(), history_.end());
  std::sort(recent.begin(), recent.end());
  recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
  for (const TokenId id : recent) {
    if (id < 0 || static_cast<size_t>(id) >= candidates_.size()) continue;
    float& logit = candidates_[static_cast<size_t>(id)].logit;
    const float p = options_.repeat_penalty;
    logit = Sane(logit > 0 ? logit / p : logit * p);
  }
}

// Best first; of equals the lower id.
bool Sampler::Better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void Sampler::KeepTopK() {
  std::erase_if(candidates_, [](const Candidate& c) { return std::isinf(c.logit); });
  const auto k = static_cast<size_t>(std::max(options_.top_k, 0));
  if (k > 0 && k < candidates_.size()) {
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(k);
    std::nth_element(candidates_.begin(), last, candidates_.end(), Better);
    candidates_.resize(k);
  }
  std::sort(candidates_.begin(), candidates_.end(), Better);
}

// Probabilities up to a common factor: the best has 1.
void Sampler::FillWeights(double temperature) {
  weights_.clear();
  const double best = candidates_.front().logit;
  for (const Candidate& c : candidates_)
    weights_.push_back(std::exp((c.logit - best) / temperature));
}

// The shortest row of best candidates that holds at least top_p of the probability.
void Sampler::KeepTopP() {
  if (options_.top_p >= 1) return;
  double total = 0;
  for (const double weight : weights_) total += weight;
  double sum = 0;
  size_t kept = 0;
  while (kept < weights_.size() && (kept == 0 || sum < options_.top_p * total)) {
    sum += weights_[kept++];
  }
  candidates_.resize(kept);
}

// Those that have at least min_p of the probability of the best.
void Sampler::KeepMinP() {
  if (options_.min_p <= 0) return;
  size_t kept = 1;
  while (kept < candidates_.size() && weights_[kept] >= options_.min_p) ++kept;
  candidates_.resize(kept);
}

Result<TokenId> Sampler::Sample(std::span<const float> logits) {
  FillCandidates(logits);
  const auto best = std::min_element(candidates_.begin(), candidates_.end(), Better);
  if (best == candidates_.end() || std::isinf(best->logit)) {
    return MakeError(ErrorCode::kBadData, "sampling: none of {} logits is a number", logits.size());
  }
  if (options_.temperature == 0 || options_.top_k == 1) return best->id;
  KeepTopK();
  FillWeights(1.0);
  KeepTopP();
  KeepMinP();
  FillWeights(options_.temperature);
  double total = 0;
  for (const double weight : weights_) total += weight;
  // 53 random bits: a double in [0, 1), every value equally likely.
  const double drawn = static_cast<double>(NextRandom() >> 11) * 0x1p-53 * total;
  double sum = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    sum += weights_[i];
    if (drawn < sum) return candidates_[i].id;
  }
  return candidates_.front().id;  // only when rounding made drawn == total
}

}  // namespace llmrun
