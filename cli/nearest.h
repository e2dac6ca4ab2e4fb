// What somebody who typed a name that does not exist may have meant.
// Threads: a pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace llmrun {

// The name that differs from `typed` in the fewest letters (inserted, left out, changed, or two
// exchanged), if these are at most a third of it; else the shortest one with all of `typed`, which
// has four letters or more, in it: "--max-size" is "--split-max-size". Dashes in front do not
// count. Empty: none is near.
std::string Nearest(std::string_view typed, const std::vector<std::string>& names);

}  // namespace llmrun
