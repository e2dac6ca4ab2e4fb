#include "model/hf_spm.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "loader/gguf/printable.h"
#include "model/hf_json.h"
#include "text/byte_tokens.h"

namespace llmrun {
namespace {

constexpr std::string_view kMarkedSpace = "\xe2\x96\x81";

bool ReplacesSpaces(const nlohmann::json& step) {
  return TextField(FieldOf(step, "pattern"), "String") == " " &&
         TextField(step, "content") == kMarkedSpace;
}

tl::unexpected<Error> RefuseStep(const std::string& label, const char* what,
                                 const nlohmann::json& step) {
  return MakeError(ErrorCode::kUnavailable, "{}: {} {} is not supported", label, what,
                   Quoted(step.dump()));
}

// Spaces must become marks, in the normalizer or by Metaspace; either may put one before a text.
Status ReadSpaces(const nlohmann::json& tokenizer, const std::string& label, TokenizerSpec* spec) {
  bool marks_spaces = false;
  spec->add_space_prefix = false;
  for (const auto& step : StepsOf(FieldOf(tokenizer, "normalizer"), "normalizers")) {
    const std::string type = TextField(step, "type");
    if (type == "Prepend" && TextField(step, "prepend") == kMarkedSpace) {
      spec->add_space_prefix = true;
    } else if (type == "Replace" && ReplacesSpaces(step)) {
      marks_spaces = true;
    } else {
      return RefuseStep(label, "normalizer", step);
    }
  }
  for (const auto& step : StepsOf(FieldOf(tokenizer, "pre_tokenizer"), "pretokenizers")) {
    const std::string type = TextField(step, "type");
    // Gemma's, which finds no space any more.
    if (type == "Split" && marks_spaces && TextField(FieldOf(step, "pattern"), "String") == " ") {
      continue;
    }
    const bool whole_text = FieldOf(step, "split") == false;
    if (type != "Metaspace" || !whole_text || TextField(step, "replacement") != kMarkedSpace) {
      return RefuseStep(label, "pre-tokenizer", step);
    }
    marks_spaces = true;
    spec->add_space_prefix = TextField(step, "prepend_scheme") != "never";
  }
  if (marks_spaces) return {};
  return MakeError(ErrorCode::kUnavailable, "{}: nothing marks spaces with U+2581", label);
}

// Pieces are merged where two halves make one, whichever they are: so all ways to cut a piece in
// two must be merges, as in what transformers makes of a SentencePiece model. Tokens that are cut
// out of the text before are no pieces.
class MergeScores {
 public:
  MergeScores(const nlohmann::json& tokenizer, const std::string& label, TokenizerSpec* spec)
      : label_(label), spec_(*spec) {
    std::unordered_set<std::string> added;
    for (const auto& token : FieldOf(tokenizer, "added_tokens")) {
      added.insert(TextField(token, "content"));
    }
    for (size_t i = 0; i < spec_.tokens.size(); ++i) {
      const std::string& text = spec_.tokens[i];
      if (text.empty()) continue;
      ids_.emplace(text, i);
      if (spec_.types[i] == TokenType::kNormal && !added.contains(text)) pieces_.insert(text);
    }
  }

  Status Fill() {
    RETURN_IF_ERROR(FindMerges());
    for (const std::string_view piece : pieces_) RETURN_IF_ERROR(CheckCuts(piece));
    // Merges of pieces with the same score stand among each other.
    const auto worst = static_cast<float>(spec_.merges.size());
    spec_.scores.assign(spec_.tokens.size(), -worst);
    size_t begin = 0;
    size_t end = 0;  // of those that stand among each other
    for (size_t i = 0; i < made_.size(); ++i) {
      if (i >= end) begin = i;
      end = std::max(end, last_.at(made_[i]) + 1);
      spec_.scores[made_[i]] = -static_cast<float>(begin);
    }
    spec_.merges.clear();
    return {};
  }

 private:
  Status FindMerges() {
    for (const std::string& merge : spec_.merges) {
      std::string piece = merge;
      piece.erase(piece.find(' '), 1);
      const auto it = ids_.find(piece);
      if (it == ids_.end()) {
        return MakeError(ErrorCode::kUnavailable, "{}: merge {}: {} is no token", label_,
                         Quoted(merge), Quoted(piece));
      }
      last_[it->second] = made_.size();
      made_.push_back(it->second);
      merges_.insert(merge);
    }
    return {};
  }

  Status CheckCuts(std::string_view piece) const {
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const std::string_view left = piece.substr(0, cut);
      const std::string_view right = piece.substr(cut);
      if (!pieces_.contains(left) || !pieces_.contains(right)) continue;
      const std::string merge = fmt::format("{} {}", left, right);
      if (merges_.contains(merge)) continue;
      return MakeError(ErrorCode::kUnavailable,
                       "{}: {} is no merge: not the merges of a SentencePiece model", label_,
                       Quoted(merge));
    }
    return {};
  }

  const std::string& label_;
  TokenizerSpec& spec_;
  std::unordered_map<std::string_view, size_t> ids_;
  std::unordered_set<std::string_view> pieces_;
  std::unordered_set<std::string_view> merges_;  // views of spec_.merges
  std::vector<size_t> made_;                     // [merges] the token that a merge makes
  std::unordered_map<size_t, size_t> last_;      // of a token, the last merge that makes it
};

}  // namespace

bool IsSentencePieceJson(const nlohmann::json& tokenizer) {
  return FieldOf(FieldOf(tokenizer, "model"), "byte_fallback") == true;
}

Status MakeSentencePiece(const nlohmann::json& tokenizer, const std::string& label,
                         TokenizerSpec* spec) {
  spec->model = "llama";
  RETURN_IF_ERROR(ReadSpaces(tokenizer, label, spec));
  const std::string unknown = TextField(FieldOf(tokenizer, "model"), "unk_token");
  for (size_t i = 0; i < spec->tokens.size(); ++i) {
    const std::string& text = spec->tokens[i];
    if (ParseByteToken(text)) spec->types[i] = TokenType::kByte;
    if (!unknown.empty() && text == unknown) spec->types[i] = TokenType::kUnknown;
  }
  return MergeScores(tokenizer, label, spec).Fill();
}

}  // namespace llmrun
