// Names from a file as they may stand in a one-line message: quoted, anything but printable ASCII
// escaped (a hostile name must not steer a terminal), long ones cut.
#pragma once

#include <string>
#include <string_view>

namespace llmrun {

// "'blk.0.attn_q.weight'", "'a\x1b[2J'", "'aaaa...' (65535 bytes)".
std::string Quoted(std::string_view name);

}  // namespace llmrun
