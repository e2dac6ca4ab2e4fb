#include "text/tokenizer.h"

#include <array>

#include "base/check.h"
#include "text/bpe_tokenizer.h"
#include "text/spm_tokenizer.h"
#include "text/tokenizer_check.h"
#include "text/ugm_tokenizer.h"
#include "text/wpm_tokenizer.h"

namespace llmrun {

namespace {

// Control tokens that end an answer in the chat formats of the model families. Files often name
// only one of a model's several in eos_token_id, and some give them the type of normal tokens.
constexpr std::array<std::string_view, 10> kEndOfTurn = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",  // deepseek
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(TokenizerSpec spec) {
  if (spec.model == "llama") return SpmTokenizer::Create(std::move(spec));
  if (spec.model == "gpt2") return BpeTokenizer::Create(std::move(spec));
  if (spec.model == "bert") return WpmTokenizer::Create(std::move(spec));
  if (spec.model == "t5") return UgmTokenizer::Create(std::move(spec));
  return MakeError(ErrorCode::kUnavailable,
                   "unknown tokenizer model '{}' (known: llama, gpt2, bert, t5)", spec.model);
}

Tokenizer::Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {
  ids_.reserve(spec_.tokens.size());
  for (size_t i = 0; i < spec_.tokens.size(); ++i) {
    if (!spec_.tokens[i].empty()) ids_[spec_.tokens[i]] = static_cast<TokenId>(i);
  }
  MarkEndOfGeneration();
  for (size_t i = 0; i < spec_.tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool user_defined = TypeOf(id) == TokenType::kUserDefined;
    if (user_defined) user_defined_.Add(TextOf(id), id);
    if (user_defined || IsControl(id)) all_special_.Add(TextOf(id), id);
  }
}

void Tokenizer::MarkEndOfGeneration() {
  ends_generation_.assign(spec_.tokens.size(), false);
  for (const std::optional<TokenId>& id : {spec_.eos, spec_.eot}) {
    if (id) ends_generation_[static_cast<size_t>(*id)] = true;
  }
  for (const std::string_view name : kEndOfTurn) {
    const TokenId id = Find(name);
    if (id == kNoToken) continue;
    ends_generation_[static_cast<size_t>(id)] = true;
    spec_.types[static_cast<size_t>(id)] = TokenType::kControl;
  }
}

std::vector<TokenId> Tokenizer::Encode(std::string_view text, const EncodeOptions& options) const {
  const TokenTrie& matcher = options.parse_special ? all_special_ : user_defined_;
  std::vector<TokenId> ids;
  if (options.add_special && *spec_.add_bos) ids.push_back(*spec_.bos);
  size_t begin = 0;  // of the text that is not encoded yet
  for (size_t pos = 0; pos < text.size();) {
    const auto match = matcher.LongestAt(text, pos);
    if (!match) {
      ++pos;
      continue;
    }
    if (pos > begin) EncodeFragment(text.substr(begin, pos - begin), &ids);
    ids.push_back(match->id);
    pos += match->bytes;
    begin = pos;
  }
  if (begin < text.size()) EncodeFragment(text.substr(begin), &ids);
  if (options.add_special && *spec_.add_eos) ids.push_back(*spec_.eos);
  if (options.add_special && *spec_.add_sep) ids.push_back(*spec_.sep);
  return ids;
}

std::string Tokenizer::Decode(TokenId id, bool show_special) const {
  CHECK(id >= 0 && static_cast<size_t>(id) < VocabSize());
  if (IsControl(id)) return show_special ? TextOf(id) : std::string();
  if (TypeOf(id) == TokenType::kUserDefined) return TextOf(id);
  return DecodeNormal(id);
}

std::string Tokenizer::Decode(std::span<const TokenId> ids, bool show_special) const {
  std::string out;
  for (const TokenId id : ids) out += Decode(id, show_special);
  return out;
}

bool Tokenizer::IsEndOfGeneration(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < VocabSize() &&
         ends_generation_[static_cast<size_t>(id)];
}

bool Tokenizer::IsControl(TokenId id) const {
  return TypeOf(id) == TokenType::kControl || TypeOf(id) == TokenType::kUnknown;
}

TokenId Tokenizer::Find(std::string_view text) const {
  const auto found = ids_.find(text);
  return found == ids_.end() ? kNoToken : found->second;
}

}  // namespace llmrun
