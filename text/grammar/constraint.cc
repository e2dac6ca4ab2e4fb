#include "text/grammar/constraint.h"

#include <algorithm>
#include <utility>

namespace llmrun {

namespace {

constexpr size_t kMaxAnswers = 32;

tl::unexpected<Error> TooAmbiguous() {
  return MakeError(ErrorCode::kResource,
                   "grammar: too ambiguous here: more than {} ways to read the text, or their "
                   "stacks are too large",
                   GrammarMatcher::kMaxWays);
}

}  // namespace

Result<GrammarConstraint> GrammarConstraint::Create(Grammar grammar, const Tokenizer& tokenizer) {
  GrammarConstraint out(std::move(grammar), std::make_shared<Vocabulary>(Sort(tokenizer)));
  const std::optional<PositionTable::Id> start = out.table_.Start();
  if (!start) return TooAmbiguous();
  out.position_ = *start;
  return out;
}

GrammarConstraint::GrammarConstraint(Grammar grammar, std::shared_ptr<const Vocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)),
      table_(std::make_shared<const Grammar>(std::move(grammar))) {}

GrammarConstraint::Vocabulary GrammarConstraint::Sort(const Tokenizer& tokenizer) {
  Vocabulary out;
  std::vector<std::pair<std::string, TokenId>> texts;
  for (size_t i = 0; i < tokenizer.VocabSize(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokenizer.IsEndOfGeneration(id)) {
      out.ends.push_back(id);
      continue;
    }
    std::string text = tokenizer.Decode(id);
    if (!text.empty()) texts.emplace_back(std::move(text), id);
  }
  std::sort(texts.begin(), texts.end());
  out.places.assign(tokenizer.VocabSize(), kNoPlace);
  std::string_view before;
  for (const auto& [text, id] : texts) {
    const auto shared = static_cast<uint32_t>(
        std::mismatch(text.begin(), text.end(), before.begin(), before.end()).first - text.begin());
    out.places[static_cast<size_t>(id)] = static_cast<uint32_t>(out.tokens.size());
    out.tokens.push_back(
        {id, static_cast<uint32_t>(out.bytes.size()), static_cast<uint32_t>(text.size()), shared});
    out.bytes += text;
    before = text;
  }
  return out;
}

// after_[n] is the position after the first n bytes of the token that is looked at; the next token
// goes on from what it shares with it.
bool GrammarConstraint::FillAllowed(std::vector<bool>* allowed) {
  allowed->assign(vocabulary_->places.size(), false);
  if (table_.IsComplete(position_)) {
    for (const TokenId id : vocabulary_->ends) (*allowed)[static_cast<size_t>(id)] = true;
  }
  if (!table_.MayGoOn(position_)) return true;
  after_.assign(1, position_);
  bool same = false;     // whether the token before is allowed
  bool refused = false;  // the last of its bytes that were followed may not come
  for (const SortedToken& token : vocabulary_->tokens) {
    if (token.shared == token.length) {  // the same bytes once more
      (*allowed)[static_cast<size_t>(token.id)] = same;
      continue;
    }
    if (token.shared + 1 < after_.size()) {  // it does not have the last of these bytes
      after_.resize(token.shared + 1);
      refused = false;
    }
    same = false;
    if (refused) continue;
    const std::string_view text = vocabulary_->TextOf(token);
    while (after_.size() <= text.size() && !refused) {
      const auto byte = static_cast<uint8_t>(text[after_.size() - 1]);
      const std::optional<PositionTable::Id> next = table_.Next(after_.back(), byte);
      if (!next) return false;
      after_.push_back(*next);
      refused = *next == PositionTable::kNowhere;
    }
    same = !refused;
    if (same) (*allowed)[static_cast<size_t>(token.id)] = true;
    if (table_.IsLarge()) {
      table_.Keep(after_);
      position_ = after_[0];
      ForgetAnswers();
    }
  }
  return true;
}

void GrammarConstraint::ForgetAnswers() {
  answers_.clear();
  next_answer_ = 0;
}

Result<const std::vector<bool>*> GrammarConstraint::Allowed() {
  for (const Answer& answer : answers_) {
    if (answer.position == position_) return &answer.allowed;
  }
  std::vector<bool> allowed;
  if (!FillAllowed(&allowed)) return TooAmbiguous();
  if (answers_.size() < kMaxAnswers) answers_.emplace_back();
  Answer& answer = answers_[next_answer_++ % kMaxAnswers];
  answer = {position_, std::move(allowed)};
  return &answer.allowed;
}

Status GrammarConstraint::Accept(TokenId id) {
  const auto index = static_cast<size_t>(id);
  if (index >= vocabulary_->places.size() || vocabulary_->places[index] == kNoPlace) return {};
  for (const char byte : vocabulary_->TextOf(vocabulary_->tokens[vocabulary_->places[index]])) {
    const std::optional<PositionTable::Id> next =
        table_.Next(position_, static_cast<uint8_t>(byte));
    if (!next) return TooAmbiguous();
    position_ = *next;
  }
  if (table_.IsLarge()) {
    table_.Keep({&position_, 1});
    ForgetAnswers();
  }
  return {};
}

}  // namespace llmrun
