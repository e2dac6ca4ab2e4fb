#include "cli/text_chunks.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/prompt.h"

namespace llmrun {

void AddTextRunFlags(CLI::App& command, TextRunFlags& flags) {
  AddModelOptions(command, flags.model);
  command.add_option("-f,--file", flags.file, "the text, - for stdin")->type_name("FILE");
  command.add_option("--chunks", flags.chunks, "so many chunks at most (default: all)")
      ->type_name("N");
  AddSessionFlags(command, flags.session);
  AddThreadFlags(command, flags.threads);
  AddLoaderFlags(command, flags.loader);
  AddReportFlag(command, flags.loader);
}

Result<std::unique_ptr<Engine>> StartEngine(const TextRunFlags& flags) {
  EngineOptions options;
  ASSIGN_OR_RETURN(options.model_path, ModelPath(flags.model));
  ASSIGN_OR_RETURN(options.load, MakeLoadOptions(flags.loader));
  ASSIGN_OR_RETURN(options.workers, MakeWorkerOptions(flags.threads));
  return Engine::Start(options);
}

Result<TextChunks> ReadTextChunks(const TextRunFlags& flags, const Tokenizer& tokenizer) {
  constexpr int64_t kUsualContext = 512;
  const std::string& file = flags.file;
  const int64_t ctx_size = flags.session.ctx_size;
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
  if (flags.chunks > 0) count = std::min(count, static_cast<size_t>(flags.chunks));
  chunks.tokens.resize(count * chunks.n_ctx);
  return chunks;
}

std::optional<TokenId> BosOf(const Tokenizer& tokenizer) {
  const TokenizerSpec& spec = tokenizer.spec();
  return spec.add_bos.value_or(false) ? spec.bos : std::nullopt;
}

}  // namespace llmrun
