#include "model/hf_spm.h"

#include <string_view>
#include <unordered_map>

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

}  // namespace

bool IsSentencePieceJson(const nlohmann::json& tokenizer) {
  return FieldOf(FieldOf(tokenizer, "model"), "byte_fallback") == true;
}

Status MakeSentencePiece(const nlohmann::json& tokenizer, const std::string& label,
                         TokenizerSpec* spec) {
  spec->model = "llama";
  RETURN_IF_ERROR(ReadSpaces(tokenizer, label, spec));
  const std::string unknown = TextField(FieldOf(tokenizer, "model"), "unk_token");
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t i = 0; i < spec->tokens.size(); ++i) {
    const std::string& text = spec->tokens[i];
    if (!text.empty()) ids.emplace(text, i);
    if (ParseByteToken(text)) spec->types[i] = TokenType::kByte;
    if (!unknown.empty() && text == unknown) spec->types[i] = TokenType::kUnknown;
  }
  constexpr float kNoMerge = 1;
  spec->scores.assign(spec->tokens.size(), kNoMerge);
  size_t last = spec->tokens.size();  // the piece that the merge before made
  for (size_t i = 0; i < spec->merges.size(); ++i) {
    std::string piece = spec->merges[i];
    piece.erase(piece.find(' '), 1);
    const auto it = ids.find(piece);
    const bool known = it != ids.end();
    if (!known || (it->second != last && spec->scores[it->second] != kNoMerge)) {
      return MakeError(ErrorCode::kUnavailable, "{}: merge {}: {} {}", label,
                       Quoted(spec->merges[i]), Quoted(piece),
                       known ? "has merges before, with others between" : "is no token");
    }
    last = it->second;
    if (spec->scores[last] == kNoMerge) spec->scores[last] = -static_cast<float>(i);
  }
  for (float& score : spec->scores) {
    if (score == kNoMerge) score = -static_cast<float>(spec->merges.size());
  }
  spec->merges.clear();
  return {};
}

}  // namespace llmrun
