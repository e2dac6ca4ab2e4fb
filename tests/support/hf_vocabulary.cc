// Vocabularies of a GGUF as the tokenizer.json of a checkpoint, and as a tokenizer.model.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/check.h"
#include "tests/support/hf_checkpoint.h"

namespace llmrun {
namespace {

using VocabularyJson = nlohmann::json;

template <typename T>
const std::vector<T>& ArrayOf(const Metadata& metadata, const char* key) {
  return std::get<std::vector<T>>(metadata.GetArray(key).value()->data);
}

const std::vector<std::string>& TokensOfVocabulary(const Metadata& metadata) {
  return ArrayOf<std::string>(metadata, "tokenizer.ggml.tokens");
}

enum : int32_t { kUnknownToken = 2, kControlToken = 3, kUserDefinedToken = 4, kByteToken = 6 };

VocabularyJson AddedTokens(const Metadata& metadata) {
  const auto& tokens = TokensOfVocabulary(metadata);
  const auto& types = ArrayOf<int32_t>(metadata, "tokenizer.ggml.token_type");
  VocabularyJson added = VocabularyJson::array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] < kUnknownToken || types[i] > kUserDefinedToken) continue;
    added.push_back(
        {{"id", i}, {"content", tokens[i]}, {"special", types[i] != kUserDefinedToken}});
  }
  return added;
}

VocabularyJson IdsOfTokens(const std::vector<std::string>& tokens) {
  VocabularyJson ids = VocabularyJson::object();
  for (size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = i;
  return ids;
}

}  // namespace

VocabularyJson SentencePieceJson(const Metadata& metadata) {
  const auto& tokens = TokensOfVocabulary(metadata);
  const auto& scores = ArrayOf<float>(metadata, "tokenizer.ggml.scores");
  const auto& types = ArrayOf<int32_t>(metadata, "tokenizer.ggml.token_type");
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (types[i] == 1) ids.emplace(tokens[i], i);
  }
  // As transformers sorts them: by score, then by the halves' lengths, the longest first.
  std::vector<std::tuple<float, size_t, size_t, std::string>> merges;
  for (const auto& [piece, id] : ids) {
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const std::string left(piece.substr(0, cut));
      const std::string right(piece.substr(cut));
      if (!ids.contains(left) || !ids.contains(right)) continue;
      merges.emplace_back(scores[id], left.size(), right.size(), left + " " + right);
    }
  }
  std::ranges::sort(merges, std::greater());
  VocabularyJson lines = VocabularyJson::array();
  for (const auto& merge : merges) lines.push_back(std::get<std::string>(merge));
  const char* mark = "\xe2\x96\x81";
  const VocabularyJson steps = {
      {{"type", "Prepend"}, {"prepend", mark}},
      {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", mark}}};
  return {{"model",
           {{"type", "BPE"},
            {"byte_fallback", true},
            {"unk_token", "<unk>"},
            {"vocab", IdsOfTokens(tokens)},
            {"merges", lines}}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}},
          {"pre_tokenizer", nullptr},
          {"added_tokens", AddedTokens(metadata)}};
}

VocabularyJson ByteLevelJson(const Metadata& metadata, VocabularyJson pre_tokenizer) {
  return {{"model",
           {{"type", "BPE"},
            {"byte_fallback", false},
            {"vocab", IdsOfTokens(TokensOfVocabulary(metadata))},
            {"merges", ArrayOf<std::string>(metadata, "tokenizer.ggml.merges")}}},
          {"pre_tokenizer", std::move(pre_tokenizer)},
          {"added_tokens", AddedTokens(metadata)}};
}

std::string SentencePieceBytes(const Metadata& metadata) {
  const auto bytes_field = [](int number, const std::string& bytes) {
    CHECK(bytes.size() < 128);
    std::string out(1, static_cast<char>(number << 3 | 2));
    out += static_cast<char>(bytes.size());
    return out + bytes;
  };
  const auto& tokens = TokensOfVocabulary(metadata);
  const auto& scores = ArrayOf<float>(metadata, "tokenizer.ggml.scores");
  const auto& types = ArrayOf<int32_t>(metadata, "tokenizer.ggml.token_type");
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string score(4, '\0');
    std::memcpy(score.data(), &scores[i], sizeof scores[i]);
    out += bytes_field(
        1, bytes_field(1, tokens[i]) + '\x15' + score + '\x18' + static_cast<char>(types[i]));
  }
  return out + bytes_field(2, std::string("\x18\x02"));
}

}  // namespace llmrun
