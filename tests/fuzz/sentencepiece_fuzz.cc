// Feeds arbitrary bytes to the reader of SentencePiece models. Whatever is accepted is either
// refused as a tokenizer or is one that encodes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Result<TokenizerSpec> spec = ParseSentencePieceModel(bytes, "fuzz");
  if (!spec) {
    CHECK(!spec.error().message.empty());
    return 0;
  }
  CHECK(!spec->tokens.empty() && spec->scores.size() == spec->tokens.size() &&
        spec->types.size() == spec->tokens.size());
  const auto tokenizer = Tokenizer::Create(*std::move(spec));
  if (!tokenizer) {
    CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  for (const std::string_view text : {std::string_view("ab  ab\n\xc3\xa9"), bytes.substr(0, 256)}) {
    const auto ids = (*tokenizer)->Encode(text, {.add_special = true, .parse_special = true});
    for (const TokenId id : ids) {
      CHECK(id >= 0 && static_cast<size_t>(id) < (*tokenizer)->VocabSize());
    }
    (*tokenizer)->Decode(ids, true);
  }
  return 0;
}
