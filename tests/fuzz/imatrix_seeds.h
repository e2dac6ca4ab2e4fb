// The tensor that the seeds of imatrix_fuzz are about. Threads: constants.
#pragma once

#include <cstdint>

namespace llmrun {

inline constexpr char kSeedTensor[] = "a.weight";
inline constexpr uint64_t kSeedColumns = 4;
inline constexpr uint64_t kSeedSlices = 2;

}  // namespace llmrun
