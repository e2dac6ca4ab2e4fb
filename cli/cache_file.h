// What was measured on this machine and is kept between runs: small JSON files in
// ~/.cache/llm-run (XDG_CACHE_HOME is heeded). They may be removed at any time.
// Threads: Single-thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/output.h"

namespace llmrun {

// Where a file of this name is kept; empty where there is no home.
std::string CacheFile(std::string_view name);
// The same for what is not measured but typed: ~/.local/state/llm-run (XDG_STATE_HOME).
std::string StateFile(std::string_view name);
// Makes the folder, too; others see the file as it was or as it is, whole. Failure: kOs.
Status SaveCacheText(std::string_view text, const std::string& path);
Status SaveCacheFile(const Json& json, const std::string& path);
// What was saved; nothing, or an empty object, when that is damaged or not there.
std::string LoadCacheText(const std::string& path);
Json LoadCacheFile(const std::string& path);

}  // namespace llmrun
