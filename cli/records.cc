#include "cli/records.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace llmrun {
namespace {

std::string CellText(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.3f}", value.get<double>());
  if (value.is_null()) return "-";
  return value.dump();
}

// RFC 4180: quotes around everything, quotes inside doubled.
std::string CsvText(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string Markdown(const std::vector<Json>& rows, const std::vector<std::string>& columns) {
  std::vector<size_t> widths;
  std::vector<char> sides;  // to the right what is a number in some row
  for (const std::string& column : columns) {
    size_t width = column.size();
    bool number = false;
    for (const Json& row : rows) {
      width = std::max(width, CellText(row.at(column)).size());
      number |= row.at(column).is_number();
    }
    widths.push_back(width);
    sides.push_back(number ? '>' : '<');
  }
  std::string out = "|";
  for (size_t i = 0; i < columns.size(); ++i)
    out += fmt::format(" {:<{}} |", columns[i], widths[i]);
  out += "\n|";
  for (size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format(" {}{} |", std::string(widths[i] - 1, '-'), sides[i] == '>' ? ":" : "-");
  }
  out += "\n";
  for (const Json& row : rows) {
    out += "|";
    for (size_t i = 0; i < columns.size(); ++i) {
      const std::string text = CellText(row.at(columns[i]));
      out += sides[i] == '>' ? fmt::format(" {:>{}} |", text, widths[i])
                             : fmt::format(" {:<{}} |", text, widths[i]);
    }
    out += "\n";
  }
  return out;
}

std::string Csv(const std::vector<Json>& rows) {
  std::string out;
  for (const auto& [key, value] : rows.front().items()) {
    out += (out.empty() ? "" : ",") + key;
  }
  out += "\n";
  for (const Json& row : rows) {
    std::string line;
    for (const auto& [key, value] : row.items()) line += (line.empty() ? "" : ",") + CsvText(value);
    out += line + "\n";
  }
  return out;
}

Result<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) {
    return MakeError(ErrorCode::kUsage, "'{}' is not a number", text);
  }
  return value;
}

// "first-last", "first-last+step", "first-last*factor", or one number.
Status AppendRange(std::string_view text, std::vector<int64_t>* numbers) {
  const size_t dash = text.find('-', 1);
  if (dash == std::string_view::npos) {
    ASSIGN_OR_RETURN(const int64_t number, ParseNumber(text));
    numbers->push_back(number);
    return {};
  }
  const size_t op = text.find_first_of("+*", dash);
  ASSIGN_OR_RETURN(const int64_t first, ParseNumber(text.substr(0, dash)));
  ASSIGN_OR_RETURN(const int64_t last, ParseNumber(text.substr(dash + 1, op - dash - 1)));
  int64_t step = 1;
  const bool multiply = op != std::string_view::npos && text[op] == '*';
  if (op != std::string_view::npos) {
    ASSIGN_OR_RETURN(step, ParseNumber(text.substr(op + 1)));
  }
  if (first > last || step < (multiply ? 2 : 1) || (multiply && first < 1) ||
      last > 1'000'000'000 || (!multiply && (last - first) / step > 10'000)) {
    return MakeError(ErrorCode::kUsage, "'{}' is not a range such as 1-64*2 or 2-10+4", text);
  }
  for (int64_t n = first; n <= last; n = multiply ? n * step : n + step) numbers->push_back(n);
  return {};
}

}  // namespace

Result<RecordFormat> ParseRecordFormat(std::string_view text) {
  if (text == "md") return RecordFormat::kMarkdown;
  if (text == "csv") return RecordFormat::kCsv;
  if (text == "json") return RecordFormat::kJson;
  if (text == "jsonl") return RecordFormat::kJsonl;
  return MakeFixableError(ErrorCode::kUsage, "md, csv, json or jsonl",
                          "'{}' is not an output format", text);
}

Status WriteRecords(const std::vector<Json>& rows, RecordFormat format,
                    const std::vector<std::string>& columns) {
  if (rows.empty()) return {};
  switch (format) {
    case RecordFormat::kMarkdown:
      return WriteStdout(Markdown(rows, columns));
    case RecordFormat::kCsv:
      return WriteStdout(Csv(rows));
    case RecordFormat::kJson:
      return WriteJson(Json(rows));
    case RecordFormat::kJsonl:
      break;
  }
  std::string lines;
  for (const Json& row : rows) lines += row.dump() + "\n";
  return WriteStdout(lines);
}

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

Result<std::vector<int64_t>> ParseNumberList(std::string_view text, int64_t min) {
  std::vector<int64_t> numbers;
  for (const std::string& part : SplitCommas(text)) RETURN_IF_ERROR(AppendRange(part, &numbers));
  if (numbers.empty()) return MakeError(ErrorCode::kUsage, "'{}' names no number", text);
  for (const int64_t n : numbers) {
    if (n < min) return MakeError(ErrorCode::kUsage, "{} is below {}", n, min);
  }
  return numbers;
}

}  // namespace llmrun
