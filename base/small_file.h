// Reading the small text files of /proc and /sys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace llmrun {

// The whole file, at most 1 MiB. On failure an OsError naming the path.
Result<std::string> ReadSmallFile(const std::string& path);
// The file as one unsigned decimal number; nullopt when it is missing or says anything else.
std::optional<uint64_t> ReadNumberFile(const std::string& path);
// Writes text in one write(2), as sysfs wants it.
Status WriteSmallFile(const std::string& path, const std::string& text);

}  // namespace llmrun
