// Feeds arbitrary bytes to a tokenizer of every kind and to every pre-tokenizer: first a few bytes
// that choose, then for "t5" a character map, then the text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/byte_map.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace llmrun {
namespace {

void AddPiece(TokenizerSpec* spec, std::string text, TokenType type = TokenType::kNormal) {
  spec->scores.push_back(-static_cast<float>(spec->tokens.size() % 13));
  spec->tokens.push_back(std::move(text));
  spec->types.push_back(type);
}

// A vocabulary that all kinds can use, with byte tokens as each writes them.
TokenizerSpec MakeSpec(std::string model) {
  TokenizerSpec spec;
  spec.model = std::move(model);
  AddPiece(&spec, "<unk>", TokenType::kUnknown);
  AddPiece(&spec, "<s>", TokenType::kControl);
  AddPiece(&spec, "</s>", TokenType::kControl);
  AddPiece(&spec, "<user>", TokenType::kUserDefined);
  spec.unk = 0;
  spec.bos = 1;
  spec.eos = 2;
  spec.sep = 2;
  for (int byte = 0; byte < 256; ++byte) {
    if (spec.model == "llama") AddPiece(&spec, fmt::format("<0x{:02X}>", byte), TokenType::kByte);
    if (spec.model == "gpt2") AddPiece(&spec, std::string(MappedByte(static_cast<uint8_t>(byte))));
  }
  for (const char* text : {"ab", "abc", "ba", "\u2581a", "\u2581ab", "\u2581", "aaaa", "\u00E9"}) {
    AddPiece(&spec, text);
  }
  if (spec.model == "gpt2") spec.merges = {"a b", "b a", "ab c"};
  return spec;
}

struct BytePair {
  std::unique_ptr<Tokenizer> tokenizer;
  PreTokenizer words;
};

// One for each rule of pre-tokenizing, made when it is first asked for.
const BytePair& BytePairOf(size_t choice) {
  static auto* const made = new std::map<size_t, BytePair>;
  const auto rules = AllPreTokenizerRules();
  choice %= rules.size();
  const auto found = made->find(choice);
  if (found != made->end()) return found->second;
  TokenizerSpec spec = MakeSpec("gpt2");
  spec.pre = rules[choice].names[0];
  auto words = PreTokenizer::Create(spec.pre);
  return made->try_emplace(choice, BytePair{*Tokenizer::Create(std::move(spec)), *std::move(words)})
      .first->second;
}

void EncodeAndDecode(const Tokenizer& tokenizer, std::string_view text, bool gives_text_back) {
  for (const bool special : {false, true}) {
    const std::vector<TokenId> ids =
        tokenizer.Encode(text, {.add_special = special, .parse_special = special});
    for (const TokenId id : ids) {
      CHECK(id >= 0 && static_cast<size_t>(id) < tokenizer.VocabSize());
    }
    if (gives_text_back && !special) CHECK(tokenizer.Decode(ids) == text);
  }
}

}  // namespace
}  // namespace llmrun

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  if (size < 2) return 0;
  const size_t choice = data[0];
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (choice % 4 == 0) {
    TokenizerSpec spec = MakeSpec("t5");
    const size_t map_bytes = std::min<size_t>(size_t{data[1]} * 4, text.size());
    spec.precompiled_charsmap = text.substr(0, map_bytes);
    spec.add_space_prefix = choice % 8 == 0;
    spec.remove_extra_whitespaces = choice % 16 == 0;
    text.remove_prefix(map_bytes);
    const auto tokenizer = Tokenizer::Create(std::move(spec));
    if (tokenizer) EncodeAndDecode(**tokenizer, text, false);
  } else if (choice % 4 == 1) {
    static const auto* const kWordPiece = Tokenizer::Create(MakeSpec("bert"))->release();
    EncodeAndDecode(*kWordPiece, text, false);
  } else if (choice % 4 == 2) {
    static const auto* const kSentencePiece = [] {
      TokenizerSpec spec = MakeSpec("llama");
      spec.add_space_prefix = false;
      return Tokenizer::Create(std::move(spec))->release();
    }();
    EncodeAndDecode(*kSentencePiece, text, text.find("\u2581") == std::string_view::npos);
  } else {
    const BytePair& pair = BytePairOf(data[1]);
    EncodeAndDecode(*pair.tokenizer, text, true);
    const std::vector<size_t> ends = pair.words.Split(text);
    CHECK(ends.empty() ? text.empty() : ends.back() == text.size());
  }
  return 0;
}
