#include "cli/synth_vocab.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace llmrun {
namespace {

// 0 -> "a", 25 -> "z", 26 -> "aa", ...: every string of letters once, the short ones first.
std::string LetterPiece(uint32_t number) {
  std::string piece;
  for (uint64_t rest = uint64_t{number} + 1; rest > 0; rest = (rest - 1) / 26) {
    piece += static_cast<char>('a' + (rest - 1) % 26);
  }
  std::ranges::reverse(piece);
  return piece;
}

}  // namespace

void AddSynthVocab(uint32_t n_vocab, GgufWriter& writer) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {static_cast<int32_t>(TokenType::kUnknown),
                                static_cast<int32_t>(TokenType::kControl),
                                static_cast<int32_t>(TokenType::kControl)};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(fmt::format("<0x{:02X}>", byte));
  types.resize(tokens.size(), static_cast<int32_t>(TokenType::kByte));
  std::vector<float> scores(tokens.size(), 0.0F);
  for (uint32_t i = 0; tokens.size() < n_vocab; ++i) {
    // The first one is the space as SentencePiece writes it, U+2581.
    tokens.push_back(i == 0 ? "\xe2\x96\x81" : LetterPiece(i - 1));
    scores.push_back(-static_cast<float>(i));
  }
  types.resize(tokens.size(), static_cast<int32_t>(TokenType::kNormal));

  writer.AddString("tokenizer.ggml.model", "llama");
  writer.Add("tokenizer.ggml.tokens", MetaType::kArray,
             MetaArray{MetaType::kString, std::move(tokens)});
  writer.Add("tokenizer.ggml.scores", MetaType::kArray,
             MetaArray{MetaType::kFloat32, std::move(scores)});
  writer.Add("tokenizer.ggml.token_type", MetaType::kArray,
             MetaArray{MetaType::kInt32, std::move(types)});
  writer.AddUint32("tokenizer.ggml.unknown_token_id", 0);
  writer.AddUint32("tokenizer.ggml.bos_token_id", 1);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 2);
  writer.AddBool("tokenizer.ggml.add_bos_token", true);
}

}  // namespace llmrun
