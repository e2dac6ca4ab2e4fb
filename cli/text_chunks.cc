#include "cli/text_chunks.h"

#include <algorithm>

#include "cli/prompt.h"

namespace llmrun {

Result<TextChunks> ReadTextChunks(const std::string& file, int64_t ctx_size, int64_t most,
                                  const Tokenizer& tokenizer) {
  constexpr int64_t kUsualContext = 512;
  if (file.empty()) return MakeFixableError(ErrorCode::kUsage, "-f FILE", "no text was given");
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(file));
  TextChunks chunks;
  chunks.n_ctx = static_cast<uint32_t>(ctx_size > 0 ? ctx_size : kUsualContext);
  chunks.tokens = tokenizer.Encode(text, {.add_special = true});
  if (chunks.count() == 0) {
    return MakeFixableError(ErrorCode::kUsage, "a longer text, or a smaller -c",
                            "{}: {} tokens, one chunk has {}", file, chunks.tokens.size(),
                            chunks.n_ctx);
  }
  size_t count = chunks.count();
  if (most > 0) count = std::min(count, static_cast<size_t>(most));
  chunks.tokens.resize(count * chunks.n_ctx);
  return chunks;
}

std::optional<TokenId> BosOf(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  return spec.add_bos.value_or(false) ? spec.bos : std::nullopt;
}

}  // namespace llmrun
