// Where small models of other programs with known results lie: LLMRUN_ORACLE names their folder,
// else ../shared/oracle. They are not in this repository: tests that need them skip without.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace llmrun {

inline std::filesystem::path OracleRoot() {
  const char* given = std::getenv("LLMRUN_ORACLE");  // NOLINT(concurrency-mt-unsafe)
  if (given != nullptr) return given;
  return std::filesystem::path(LLMRUN_SOURCE_DIR) / ".." / "shared" / "oracle";
}

}  // namespace llmrun
