// Sets of code points as an automaton over the bytes of their UTF-8.
// Threads: Thread-compatible.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/grammar/syntax.h"

namespace llmrun {

// Appends to the grammar a state from which every character of the set leads to `next`; returns it.
// Surrogates are no characters. Requires: ranges sorted and apart.
uint32_t AddCharacterSet(std::span<const CodepointRange> ranges, uint32_t next, Grammar* grammar);

}  // namespace llmrun
