// A timeline for people: TraceLog as Chrome trace JSON (chrome://tracing, ui.perfetto.dev).
// Source: "Trace Event Format", events of phase b/e (asynchronous) and M (metadata).
// Threads: Single-thread.
#pragma once

#include <string>

#include "base/error.h"
#include "base/trace.h"

namespace llmrun {

Status WriteTrace(TraceLog& trace, const std::string& path);

}  // namespace llmrun
