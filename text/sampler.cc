#include "text/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "text/sampling/truncation.h"

namespace llmrun {

namespace {

// A value and where it may lie. Bounds included; NaN is outside.
struct Range {
  const char* name;
  double value;
  double least;
  double most;
  const char* text;
};

Status CheckRange(const Range& r) {
  if (r.value >= r.least && r.value <= r.most) return {};
  return MakeError(ErrorCode::kUsage, "sampling: {} is {}, must be {}", r.name, r.value, r.text);
}

Status CheckOptions(const SamplerOptions& o) {
  constexpr double kMost = std::numeric_limits<float>::max();
  constexpr double kAboveZero = std::numeric_limits<float>::denorm_min();
  const Range ranges[] = {
      {"temperature", o.temperature, 0, kMost, "0 or more"},
      {"dynatemp-range", o.dynatemp_range, 0, kMost, "0 or more"},
      {"dynatemp-exp", o.dynatemp_exponent, 0, kMost, "0 or more"},
      {"top-p", o.top_p, 0, kMost, "0 to 1"},
      {"min-p", o.min_p, -kMost, 1, "0 to 1"},
      {"typical", o.typical_p, 0, kMost, "0 to 1"},
      {"top-n-sigma", o.top_n_sigma, -kMost, kMost, "a number"},
      {"xtc-probability", o.xtc_probability, 0, 1, "0 to 1"},
      {"xtc-threshold", o.xtc_threshold, 0, 1, "0 to 1"},
      {"repetition penalty", o.repeat_penalty, kAboveZero, kMost, "above 0"},
      {"frequency penalty", o.frequency_penalty, -kMost, kMost, "a number"},
      {"presence penalty", o.presence_penalty, -kMost, kMost, "a number"},
      {"repeat-last-n", double(o.repeat_last_n), -1, kMost, "-1 or more"},
      {"dry-multiplier", o.dry.multiplier, 0, kMost, "0 or more"},
      {"dry-base", o.dry.base, 1, kMost, "1 or more"},
      {"dry-allowed-length", double(o.dry.allowed_length), 0, kMost, "0 or more"},
      {"dry-penalty-last-n", double(o.dry.last_n), -1, kMost, "-1 or more"},
      {"mirostat", double(o.mirostat.version), 0, 2, "0, 1 or 2"},
      {"mirostat-ent", o.mirostat.target_surprise, 0, kMost, "0 or more"},
      {"mirostat-lr", o.mirostat.learning_rate, 0, kMost, "0 or more"},
  };
  for (const Range& range : ranges) RETURN_IF_ERROR(CheckRange(range));
  for (const auto& [id, bias] : o.logit_bias) {
    if (std::isnan(bias)) {
      return MakeError(ErrorCode::kUsage, "sampling: the bias of token {} is no number", id);
    }
  }
  return {};
}

}  // namespace

Result<Sampler> Sampler::Create(const SamplerOptions& options, TextOf text_of) {
  RETURN_IF_ERROR(CheckOptions(options));
  return Sampler(options, std::move(text_of));
}

Sampler::Sampler(const SamplerOptions& options, TextOf text_of)
    : options_(options),
      random_(options.seed),
      penalties_({options.repeat_last_n, options.repeat_penalty, options.frequency_penalty,
                  options.presence_penalty}),
      dry_(options.dry, std::move(text_of)),
      mirostat_(options.mirostat) {}

void Sampler::Restart() {
  penalties_.Forget();
  dry_.Forget();
  mirostat_ = Mirostat(options_.mirostat);
  constraint_ = constraint_at_start_;
  accepted_ = {};
}

void Sampler::Accept(TokenId id) {
  AcceptPrompt(id);
  if (constraint_ && accepted_) accepted_ = constraint_->Accept(id);
}

void Sampler::AcceptPrompt(TokenId id) {
  penalties_.Accept(id);
  dry_.Accept(id);
}

void Sampler::Run(SamplerStep step) {
  switch (step) {
    case SamplerStep::kPenalties:
      return penalties_.Apply(&candidates_);
    case SamplerStep::kDry:
      return dry_.Apply(&candidates_);
    case SamplerStep::kTopNSigma:
      return KeepTopNSigma(options_.top_n_sigma, &candidates_);
    case SamplerStep::kTopK:
      return KeepTopK(options_.top_k, &candidates_);
    case SamplerStep::kTypical:
      return KeepTypical(options_.typical_p, &candidates_);
    case SamplerStep::kTopP:
      return KeepTopP(options_.top_p, &candidates_);
    case SamplerStep::kMinP:
      return KeepMinP(options_.min_p, &candidates_);
    case SamplerStep::kXtc:
      return ExcludeTopChoices(options_.xtc_probability, options_.xtc_threshold, &random_,
                               &candidates_);
    case SamplerStep::kTemperature:
      return ApplyTemperature(
          {options_.temperature, options_.dynatemp_range, options_.dynatemp_exponent},
          &candidates_);
  }
}

Status Sampler::ApplyConstraint(size_t n_vocab) {
  if (!constraint_) return {};
  RETURN_IF_ERROR(accepted_);
  ASSIGN_OR_RETURN(const std::vector<bool>* allowed, constraint_->Allowed());
  if (!candidates_.KeepAllowed(*allowed)) {
    return MakeError(ErrorCode::kBadData,
                     "sampling: the grammar allows none of {} tokens (or all that it allows have "
                     "no number)",
                     n_vocab);
  }
  return {};
}

// Whether the best candidate comes out whatever is cut away: then nothing need be.
bool Sampler::GreedyOnly() const {
  const auto has = [&](SamplerStep step) {
    return std::find(options_.steps.begin(), options_.steps.end(), step) != options_.steps.end();
  };
  return options_.temperature == 0 && options_.dynatemp_range == 0 &&
         has(SamplerStep::kTemperature) && options_.xtc_probability == 0 && options_.typical_p >= 1;
}

Result<TokenId> Sampler::Sample(std::span<const float> logits) {
  candidates_.Fill(logits);
  RETURN_IF_ERROR(ApplyConstraint(logits.size()));
  if (!options_.logit_bias.empty()) {
    candidates_.AdjustThose(options_.logit_bias,
                            [](float logit, float bias) { return logit + bias; });
  }
  if (candidates_.Best() == nullptr) {
    return MakeError(ErrorCode::kBadData, "sampling: none of {} logits is a number", logits.size());
  }
  if (options_.mirostat.version != 0) {
    Run(SamplerStep::kTemperature);
    mirostat_.Truncate(logits.size(), &candidates_);
    return Draw();
  }
  const bool greedy = GreedyOnly();
  for (const SamplerStep step : options_.steps) {
    if (!greedy || step == SamplerStep::kPenalties || step == SamplerStep::kDry) Run(step);
  }
  if (candidates_.Best() == nullptr) {
    return MakeError(ErrorCode::kBadData, "sampling: the penalties left none of {} tokens",
                     logits.size());
  }
  return greedy ? candidates_.Best()->id : Draw();
}

TokenId Sampler::Draw() {
  const std::span<const Candidate> all = candidates_.Sorted();
  const std::span<const double> probabilities = candidates_.Probabilities();
  size_t drawn = 0;
  if (all.size() > 1) {
    double left = random_.NextUnit();
    // The last bit of the sum may be missing: then the best.
    while (drawn < all.size() && left >= probabilities[drawn]) left -= probabilities[drawn++];
    if (drawn == all.size()) drawn = 0;
  }
  if (options_.mirostat.version != 0) mirostat_.Drew(probabilities[drawn]);
  return all[drawn].id;
}

}  // namespace llmrun
