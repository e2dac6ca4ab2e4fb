// Results of measurements as rows of named values, in the formats that people and tools read.
// Threads: Single-thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/output.h"

namespace llmrun {

enum class RecordFormat : uint8_t { kMarkdown, kCsv, kJson, kJsonl };
Result<RecordFormat> ParseRecordFormat(std::string_view text);  // "md", "csv", "json", "jsonl"

// Writes the rows to stdout. `columns` are the keys that the Markdown table shows (all rows have
// them); CSV and JSON carry every key, in the order of the first row.
Status WriteRecords(const std::vector<Json>& rows, RecordFormat format,
                    const std::vector<std::string>& columns);

// "1,2,8" and "1-64*2" and "2-10+4" as llama-bench takes them. kUsage otherwise, or for numbers
// below `min`.
Result<std::vector<int64_t>> ParseNumberList(std::string_view text, int64_t min);

// "a,b,c" without empty parts.
std::vector<std::string> SplitCommas(std::string_view text);

}  // namespace llmrun
