#include "text/sampling/dry.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace llmrun {

Dry::Dry(DryOptions options, std::function<std::string(TokenId)> text_of)
    : options_(std::move(options)), text_of_(std::move(text_of)) {
  std::erase_if(options_.breakers, [](const std::string& text) { return text.empty(); });
  for (const std::string& breaker : options_.breakers) {
    longest_breaker_ = std::max(longest_breaker_, breaker.size());
  }
}

// Looks at the token's own text and at as much before it as a breaker can reach back.
bool Dry::EndsBreaker(TokenId id) {
  if (longest_breaker_ == 0 || !text_of_) return false;
  const size_t before = tail_.size();
  tail_ += text_of_(id);
  bool found = false;
  for (const std::string& breaker : options_.breakers) {
    const size_t from = before >= breaker.size() ? before - breaker.size() + 1 : 0;
    found = found || tail_.find(breaker, from) != std::string::npos;
  }
  const size_t keep = longest_breaker_ - 1;
  if (tail_.size() > keep) tail_.erase(0, tail_.size() - keep);
  return found;
}

void Dry::Accept(TokenId id) {
  if (off()) return;
  past_.push_back({id, EndsBreaker(id)});
}

// rows_[k]: how many of the tokens before the one k back equal, one by one, the last tokens. The
// Z-function of the window read backwards.
void Dry::FillRows(size_t begin) {
  const size_t n = past_.size() - begin;
  const auto at = [&](size_t back) { return past_[past_.size() - 1 - back].id; };
  rows_.assign(n, 0);
  size_t left = 0;
  size_t right = 0;  // [left, right) equals the beginning, and right is the largest known
  for (size_t i = 1; i < n; ++i) {
    size_t row = i < right ? std::min(right - i, rows_[i - left]) : 0;
    while (i + row < n && at(row) == at(i + row)) ++row;
    rows_[i] = row;
    if (i + row > right) {
      left = i;
      right = i + row;
    }
  }
}

void Dry::Apply(Candidates* candidates) {
  if (off()) return;
  const size_t window = options_.last_n < 0
                            ? past_.size()
                            : std::min(past_.size(), static_cast<size_t>(options_.last_n));
  const size_t begin = past_.size() - window;
  size_t unbroken = 0;  // tokens since the last breaker: no row is longer
  while (unbroken < window && !past_[past_.size() - 1 - unbroken].breaks) ++unbroken;
  const auto allowed = static_cast<size_t>(std::max(options_.allowed_length, 0));
  if (unbroken == 0 || unbroken < allowed) return;
  FillRows(begin);
  longest_.clear();
  for (size_t back = 1; back < window; ++back) {
    const size_t row = std::min(rows_[back], unbroken);
    const Past& followed = past_[past_.size() - back];
    if (row == 0 || row < allowed || followed.breaks) continue;
    size_t& longest = longest_[followed.id];
    longest = std::max(longest, row);
  }
  const double highest = std::log(1e30) / std::log(std::max(double{options_.base}, 1.0 + 1e-6));
  candidates->AdjustThose(longest_, [&](float logit, size_t row) {
    const double exponent = std::min(static_cast<double>(row - allowed), highest);
    return static_cast<float>(logit - options_.multiplier * std::pow(options_.base, exponent));
  });
}

}  // namespace llmrun
