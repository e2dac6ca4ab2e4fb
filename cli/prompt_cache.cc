#include "cli/prompt_cache.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "model/session_file.h"

namespace llmrun {

void AddPromptCacheFlags(CLI::App& command, PromptCacheFlags& flags) {
  command
      .add_option("--prompt-cache", flags.file,
                  "keep the computed prompt in this file, and begin with what it holds")
      ->type_name("FILE");
  command.add_flag("--prompt-cache-all", flags.all, "keep what was generated, too");
  command.add_flag("--prompt-cache-ro", flags.read_only, "leave the file as it is");
}

Status LoadPromptCache(const PromptCacheFlags& flags, Session& session) {
  std::error_code ignored;
  if (flags.file.empty() || !std::filesystem::exists(flags.file, ignored)) return {};
  RETURN_IF_ERROR(RestoreSession(session, flags.file));
  return {};
}

Status SavePromptCache(const PromptCacheFlags& flags, int64_t prompt_tokens, Session& session) {
  if (flags.file.empty() || flags.read_only) return {};
  if (!flags.all) session.Truncate(std::min(prompt_tokens, session.position()));
  return SaveSession(session, flags.file);
}

}  // namespace llmrun
