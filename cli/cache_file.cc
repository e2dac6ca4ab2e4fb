#include "cli/cache_file.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/small_file.h"
#include "loader/io/output_file.h"

namespace llmrun {
namespace {

constexpr size_t kMostFileBytes = 1 << 20;

// In the folder that a variable names, else in that of this user.
std::string UserFile(const char* variable, std::string_view folder, std::string_view name) {
  const char* named = std::getenv(variable);
  if (named != nullptr && *named != '\0') return fmt::format("{}/llm-run/{}", named, name);
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return "";
  return fmt::format("{}/{}/llm-run/{}", home, folder, name);
}

}  // namespace

std::string CacheFile(std::string_view name) { return UserFile("XDG_CACHE_HOME", ".cache", name); }
std::string StateFile(std::string_view name) {
  return UserFile("XDG_STATE_HOME", ".local/state", name);
}

Status SaveCacheText(std::string_view text, const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return OsError(error.value(), "making the folder of " + path);
  return WriteWholeFile(path, text);
}

Status SaveCacheFile(const Json& json, const std::string& path) {
  return SaveCacheText(JsonText(json), path);
}

std::string LoadCacheText(const std::string& path) {
  std::error_code error;
  if (path.empty() || std::filesystem::file_size(path, error) > kMostFileBytes || error) return "";
  return SmallFileOrEmpty(path);
}

Json LoadCacheFile(const std::string& path) {
  Json json = Json::parse(LoadCacheText(path), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : Json::object();
}

}  // namespace llmrun
