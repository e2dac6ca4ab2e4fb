// The load report for machines (JSON, docs/ARCHITECTURE.md#load-report) and for people (stderr).
// Threads: pure functions.
#pragma once

#include <string>

#include "cli/output.h"
#include "loader/load_report.h"

namespace llmrun {

Json FallbackJson(const Fallback& fallback);
Json ReportJson(const LoadReport& report);

// Two lines and one a fall-back, each with a newline:
//   load   io_uring 16 x 4.0 MiB  3.9 MiB in 4.10 ms (0.95 GB/s, 97% of device)  copies 0  first
//          layer 1.20 ms
//   pages  2M 2/2  node0 100%
//   note   wanted 1G pages, got 2M pages: ...; fix: ...
std::string ReportText(const LoadReport& report);

// Pages of a size that hold so many bytes.
uint64_t PageCount(uint64_t bytes, uint64_t page_bytes);

}  // namespace llmrun
