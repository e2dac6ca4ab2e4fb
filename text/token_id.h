// The number of a token: its index in the vocabulary.
#pragma once

#include <cstdint>

namespace llmrun {

using TokenId = int32_t;
inline constexpr TokenId kNoToken = -1;

}  // namespace llmrun
