// Sizes in bytes, and how they are shown to people. Names end in their unit: _bytes, _seconds.
#pragma once

#include <cstdint>
#include <string>

namespace llmrun {

inline constexpr uint64_t kKiB = uint64_t{1} << 10;
inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;

// "512 B", "3.9 MiB", "72.91 GiB": binary units, at most two decimals.
std::string FormatBytes(uint64_t bytes);
// "1.73 GB/s": decimal units, as device data sheets use them. 0 seconds gives "-".
std::string FormatRate(uint64_t bytes, double seconds);
// "0.84 ms", "3.21 s", "2 m 05 s".
std::string FormatSeconds(double seconds);

}  // namespace llmrun
