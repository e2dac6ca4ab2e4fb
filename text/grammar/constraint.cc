#include "text/grammar/constraint.h"

#include <algorithm>
#include <utility>

namespace llmrun {

namespace {

constexpr size_t kMaxAnswers = 32;
constexpr size_t kCompactNodes = size_t{1} << 16;

tl::unexpected<Error> TooAmbiguous() {
  return MakeError(ErrorCode::kResource,
                   "grammar: too ambiguous here: more than {} ways to read the text, or their "
                   "stacks are too large",
                   GrammarMatcher::kMaxWays);
}

}  // namespace

Result<GrammarConstraint> GrammarConstraint::Create(Grammar grammar, const Tokenizer& tokenizer) {
  GrammarConstraint out(std::move(grammar), std::make_shared<Vocabulary>(Sort(tokenizer)));
  if (!out.matcher_.Start(&out.position_)) return TooAmbiguous();
  return out;
}

GrammarConstraint::GrammarConstraint(Grammar grammar, std::shared_ptr<const Vocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)),
      matcher_(std::make_shared<const Grammar>(std::move(grammar))) {}

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
  if (position_.complete) {
    for (const TokenId id : vocabulary_->ends) (*allowed)[static_cast<size_t>(id)] = true;
  }
  if (after_.empty()) after_.emplace_back();
  after_[0] = position_;
  size_t known = 0;                       // bytes of the token before that were followed
  bool same = false;                      // whether the token before is allowed
  bool refused = position_.ways.empty();  // the last of them may not come
  for (const SortedToken& token : vocabulary_->tokens) {
    if (token.shared == token.length) {  // the same bytes once more
      (*allowed)[static_cast<size_t>(token.id)] = same;
      continue;
    }
    if (token.shared < known) {  // it does not have the byte that may not come
      known = token.shared;
      refused = false;
    }
    same = false;
    if (refused) continue;
    const std::string_view text = vocabulary_->TextOf(token);
    while (known < text.size() && !refused) {
      if (after_.size() < known + 2) after_.emplace_back();
      const auto byte = static_cast<uint8_t>(text[known]);
      if (!matcher_.Advance(after_[known], byte, &after_[known + 1])) return false;
      ++known;
      refused = after_[known].ways.empty() && (!after_[known].complete || known < text.size());
    }
    same = !refused;
    (*allowed)[static_cast<size_t>(token.id)] = same;
    // A complete text that nothing may follow refuses all that is longer.
    refused = after_[known].ways.empty();
  }
  return true;
}

Result<const std::vector<bool>*> GrammarConstraint::Allowed() {
  for (const Answer& answer : answers_) {
    if (answer.position == position_) return &answer.allowed;
  }
  if (answers_.size() < kMaxAnswers) answers_.emplace_back();
  Answer& answer = answers_[next_answer_++ % kMaxAnswers];
  answer.position = position_;
  if (!FillAllowed(&answer.allowed)) {
    answers_.clear();
    next_answer_ = 0;
    return TooAmbiguous();
  }
  return &answer.allowed;
}

Status GrammarConstraint::Accept(TokenId id) {
  const auto index = static_cast<size_t>(id);
  if (index >= vocabulary_->places.size() || vocabulary_->places[index] == kNoPlace) return {};
  GrammarMatcher::Position next;
  for (const char byte : vocabulary_->TextOf(vocabulary_->tokens[vocabulary_->places[index]])) {
    if (!matcher_.Advance(position_, static_cast<uint8_t>(byte), &next)) return TooAmbiguous();
    std::swap(position_, next);
  }
  if (matcher_.stack_nodes() > kCompactNodes) {
    matcher_.Compact(&position_);
    answers_.clear();
    next_answer_ = 0;
  }
  return {};
}

}  // namespace llmrun
