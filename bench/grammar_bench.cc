// What a grammar costs a token: the mask over a vocabulary of 128,000 tokens, made up by a fixed
// seed, at each token of a JSON document.
#include <benchmark/benchmark.h>

#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/byte_map.h"
#include "text/grammar/constraint.h"
#include "text/grammar/json_schema.h"

namespace llmrun {
namespace {

constexpr size_t kTokens = 128'000;

constexpr std::string_view kDocument =
    R"({"name": "Ada Lovelace", "born": 1815, "languages": ["English", "French"],
  "notes": "She wrote \"the first program\", and more: a note of 65 pages on the engine.",
  "works": [{"title": "Sketch of the Analytical Engine", "year": 1843, "pages": 65.5e0,
             "tags": ["mathematics", "machines", null, true, [1, 2, 3, -4.25]]},
            {"title": "Letters", "year": null, "pages": -0, "tags": []}], "r\u00e9sum\u00e9": {}})";

constexpr const char* kSchema = R"({"type": "object", "required": ["name", "born"],
  "properties": {"name": {"type": "string"}, "born": {"type": "integer", "minimum": 1000},
    "languages": {"type": "array", "items": {"type": "string"}}, "notes": {"type": "string"},
    "works": {"type": "array", "items": {"type": "object", "properties": {
      "title": {"type": "string"}, "year": {"type": ["integer", "null"]},
      "pages": {"type": "number"}, "tags": {"type": "array"}}}}},
  "additionalProperties": {"type": "object"}})";

// Words with and without a space before them, runs of spaces, digits, and what code is made of.
std::string MakeToken(std::mt19937& random) {
  constexpr std::string_view kLetters = "etaoinshrdlucmfwypvbgkjqxz";
  constexpr std::string_view kMarks = "{}[]\":,.()_-/\\;=<>*#'0123456789";
  std::string text;
  const size_t length = 1 + random() % 4 + random() % 6;
  switch (random() % 16) {
    case 0:
      return std::string(1 + random() % 40, " \n\t"[random() % 3]);
    case 1:
      for (size_t i = 0; i < length / 2 + 1; ++i) text += kMarks[random() % kMarks.size()];
      return text;
    case 2:
      for (size_t i = 0; i < length; ++i) text += static_cast<char>(0x80 + random() % 0x80);
      return text;
    default:
      if (random() % 2 == 0) text = " ";
      for (size_t i = 0; i < length; ++i) {
        const size_t skewed = std::min(random() % kLetters.size(), random() % kLetters.size());
        text += kLetters[skewed];
      }
      if (random() % 4 == 0) text[text[0] == ' ' ? 1 : 0] -= 'a' - 'A';
      return text;
  }
}

std::unique_ptr<Tokenizer> MakeVocabulary() {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same every time
  std::set<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.insert(std::string(1, static_cast<char>(byte)));
  for (const char* text : {"\",", "\":", " \"", "{\"", "[\"", "\"]", "},", "],", ", ", "\": \""}) {
    texts.insert(text);
  }
  while (texts.size() < kTokens) texts.insert(MakeToken(random));
  TokenizerSpec spec;
  spec.model = "gpt2";
  spec.pre = "gpt-2";
  for (const std::string& text : texts) {
    std::string mapped;
    for (const char byte : text) mapped += MappedByte(static_cast<uint8_t>(byte));
    spec.tokens.push_back(mapped);
    spec.types.push_back(TokenType::kNormal);
  }
  spec.tokens.emplace_back("<end>");
  spec.types.push_back(TokenType::kControl);
  spec.eos = static_cast<TokenId>(spec.tokens.size() - 1);
  auto tokenizer = Tokenizer::Create(std::move(spec));
  CHECK(tokenizer.has_value());
  return *std::move(tokenizer);
}

// The document by the longest token that the grammar allows at each place.
std::vector<TokenId> TokensOf(const Tokenizer& tokenizer, GrammarConstraint constraint) {
  std::vector<TokenId> ids;
  std::string_view rest = kDocument;
  while (!rest.empty()) {
    const std::vector<bool>& allowed = *constraint.Allowed().value();
    TokenId best = kNoToken;
    size_t length = 0;
    for (size_t i = 0; i < allowed.size(); ++i) {
      const std::string text = allowed[i] ? tokenizer.Decode(static_cast<TokenId>(i)) : "";
      if (text.size() <= length || !rest.starts_with(text)) continue;
      best = static_cast<TokenId>(i);
      length = text.size();
    }
    CHECK(best != kNoToken);
    CHECK(constraint.Accept(best).has_value());
    ids.push_back(best);
    rest.remove_prefix(length);
  }
  return ids;
}

void MaskOfDocument(benchmark::State& state, const char* schema) {
  static const std::unique_ptr<Tokenizer> kTokenizer = MakeVocabulary();
  const Grammar grammar = CompileGrammar(JsonSchemaToGbnf(schema).value()).value();
  const GrammarConstraint start = GrammarConstraint::Create(grammar, *kTokenizer).value();
  const std::vector<TokenId> ids = TokensOf(*kTokenizer, start);
  for (auto round : state) {
    GrammarConstraint constraint = start;
    for (const TokenId id : ids) {
      benchmark::DoNotOptimize(constraint.Allowed().value());
      CHECK(constraint.Accept(id).has_value());
    }
  }
  state.counters["tokens"] = static_cast<double>(ids.size());
  state.counters["s_per_token"] = benchmark::Counter(
      static_cast<double>(ids.size()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK_CAPTURE(MaskOfDocument, any_json, "{}")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(MaskOfDocument, schema, kSchema)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace llmrun
