#include "text/ugm_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/space_mark.h"
#include "text/tokenizer_check.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

// How much less likely than the least likely token an unknown character is.
constexpr double kUnknownPenalty = 10;

// What files of this kind mean when they leave it out.
void ApplyUgmDefaults(TokenizerSpec* spec) {
  FillCustomaryId(1, *spec, &spec->eos);
  FillCustomaryId(2, *spec, &spec->unk);
  FillCustomaryId(0, *spec, &spec->pad);
  if (!spec->add_eos) spec->add_eos = spec->eos.has_value();
  if (!spec->add_space_prefix) spec->add_space_prefix = false;
  if (!spec->remove_extra_whitespaces) spec->remove_extra_whitespaces = false;
}

// Writes a normalized text: spaces as marks, and one before the first word where that is wanted.
class SpaceWriter {
 public:
  SpaceWriter(bool prefix, bool merge, std::string* out)
      : prefix_(prefix), merge_(merge), out_(out) {}

  void Write(std::string_view text) {
    for (const char c : text) {
      if (c == ' ' && merge_) {
        in_word_ = false;
        continue;
      }
      const bool first = out_->empty();
      if (merge_ ? !in_word_ && (prefix_ || !first) : prefix_ && first) *out_ += kSpaceMark;
      in_word_ = true;
      if (c == ' ') {
        *out_ += kSpaceMark;
      } else {
        *out_ += c;
      }
    }
  }

 private:
  const bool prefix_;
  const bool merge_;  // spaces before, after and between words: one between them is left
  std::string* const out_;
  bool in_word_ = false;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> UgmTokenizer::Create(TokenizerSpec spec) {
  RETURN_IF_ERROR(CheckTokenizerSpec(spec));
  RETURN_IF_ERROR(CheckByteTokens(spec));
  if (spec.scores.empty()) {
    return MakeError(ErrorCode::kBadData, "tokenizer: a vocabulary of the kind t5 has no scores");
  }
  ASSIGN_OR_RETURN(Charsmap charsmap, Charsmap::Parse(spec.precompiled_charsmap));
  ApplyUgmDefaults(&spec);
  RETURN_IF_ERROR(CheckAddedTokens(spec));
  CompleteTokenizerSpec(/*default_add_bos=*/false, &spec);
  return std::unique_ptr<Tokenizer>(new UgmTokenizer(std::move(spec), std::move(charsmap)));
}

UgmTokenizer::UgmTokenizer(TokenizerSpec complete, Charsmap charsmap)
    : Tokenizer(std::move(complete)), charsmap_(std::move(charsmap)), byte_tokens_(spec()) {
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < VocabSize(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (IsControl(id) || TypeOf(id) == TokenType::kByte) continue;
    pieces_.Add(TextOf(id), id);
    if (TypeOf(id) == TokenType::kNormal) least = std::min(least, ScoreOf(id));
  }
  unknown_score_ = (std::isinf(least) ? 0 : least) - kUnknownPenalty;
}

double UgmTokenizer::ScoreOf(TokenId id) const {
  return double{spec().scores[static_cast<size_t>(id)]};
}

std::string UgmTokenizer::Normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  SpaceWriter writer(*spec().add_space_prefix, *spec().remove_extra_whitespaces, &out);
  for (size_t pos = 0; pos < text.size();) {
    const Charsmap::Replacement found = charsmap_.LongestAt(text, pos);
    if (found.bytes > 0) {
      writer.Write(found.text);
      pos += found.bytes;
      continue;
    }
    const Utf8Unit unit = Utf8At(text, pos);
    writer.Write(unit.codepoint < 0 ? "\xEF\xBF\xBD" : text.substr(pos, unit.bytes));
    pos += unit.bytes;
  }
  return out;
}

// steps[i] is the best way to cut the first i bytes.
std::vector<UgmTokenizer::Step> UgmTokenizer::BestSteps(std::string_view normalized) const {
  constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  std::vector<Step> steps(normalized.size() + 1, Step{kImpossible, 0, kNoToken});
  steps[0].score = 0;
  for (size_t pos = 0; pos < normalized.size();) {
    const size_t character = Utf8At(normalized, pos).bytes;
    const double here = steps[pos].score;
    bool covered = false;
    const auto offer = [&](size_t bytes, double score, TokenId id) {
      Step& step = steps[pos + bytes];
      if (here + score > step.score) step = {here + score, pos, id};
    };
    pieces_.EachAt(normalized, pos, [&](const TokenTrie::Match& match) {
      covered = covered || match.bytes == character;
      offer(match.bytes, ScoreOf(match.id), match.id);
    });
    if (!covered) offer(character, unknown_score_, kNoToken);
    pos += character;
  }
  return steps;
}

void UgmTokenizer::EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const {
  const std::string normalized = Normalize(text);
  const std::vector<Step> steps = BestSteps(normalized);
  std::vector<size_t> ends;  // of the tokens, last first
  for (size_t end = normalized.size(); end > 0; end = steps[end].begin) ends.push_back(end);
  bool after_unknown = false;
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const Step& step = steps[*end];
    const std::string_view piece =
        std::string_view(normalized).substr(step.begin, *end - step.begin);
    const bool known = step.id != kNoToken;
    if (known) {
      ids->push_back(step.id);
    } else if (!byte_tokens_.Append(piece, ids) && !after_unknown && spec().unk) {
      ids->push_back(*spec().unk);
    }
    after_unknown = !known;
  }
}

std::string UgmTokenizer::DecodeNormal(TokenId id) const {
  if (TypeOf(id) == TokenType::kByte) return {static_cast<char>(*ParseByteToken(TextOf(id)))};
  std::string out = TextOf(id);
  UnmarkSpaces(&out);
  return out;
}

}  // namespace llmrun
