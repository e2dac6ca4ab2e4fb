// The small text files of /proc and /sys: reading them, and the numbers in them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace llmrun {

// The whole file, at most 1 MiB. On failure an OsError naming the path.
Result<std::string> ReadSmallFile(const std::string& path);
// The same; empty on failure.
std::string SmallFileOrEmpty(const std::string& path);
// The file as one unsigned decimal number; nullopt when it is missing or says anything else.
std::optional<uint64_t> ReadNumberFile(const std::string& path);
// Writes text in one write(2), as sysfs wants it.
Status WriteSmallFile(const std::string& path, const std::string& text);

// The unsigned decimal number that text begins with; nullopt when it does not.
std::optional<uint64_t> ParseNumber(std::string_view text);
// The number after the word `key` in text like "Node 0 MemFree:  123 kB\nactive_file 456\n".
std::optional<uint64_t> FindNumber(std::string_view text, std::string_view key);
// The hexadecimal number after `key`; 0 when there is none.
uint64_t FindHex(std::string_view text, std::string_view key);

}  // namespace llmrun
