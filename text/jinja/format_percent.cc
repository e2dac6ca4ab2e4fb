// "%s has %d" % values: the conversions %s, %r, %d, %i, %f (with a precision), %x and %%.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "text/jinja/builtins.h"

namespace llmrun::jinja {
namespace {

tl::unexpected<Error> BadConversion(std::string_view what) {
  return MakeError(ErrorCode::kBadData, "format '%': {}", what);
}

Result<std::string> Convert(Interpreter& in, char kind, int precision, const Value& value) {
  if (kind == 's') return in.TextOf(value);
  if (kind == 'r') {
    ASSIGN_OR_RETURN(const Value list, MakeList({value}));
    ASSIGN_OR_RETURN(const std::string text, in.TextOf(list));
    return text.substr(1, text.size() - 2);
  }
  if (!value.is_number()) return BadConversion("expected a number");
  if (kind == 'f') return fmt::format("{:.{}f}", value.AsDouble(), precision);
  const double number = value.AsDouble();
  if (!(number > -9e18 && number < 9e18)) return BadConversion("expected a smaller number");
  const int64_t whole = value.is_float() ? static_cast<int64_t>(number) : value.AsInt();
  if (kind == 'd' || kind == 'i') return fmt::format("{}", whole);
  if (kind == 'x') return fmt::format("{:x}", whole);
  return BadConversion(fmt::format("unknown conversion '{}'", kind));
}

}  // namespace

Result<Value> FormatPercent(Interpreter& in, const std::string& format, const Value& values) {
  constexpr int kMaxPrecision = 50;
  const bool is_tuple = values.list() != nullptr && values.list()->is_tuple;
  const std::vector<Value> items = is_tuple ? values.list()->items : std::vector<Value>{values};
  size_t next = 0;
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    int precision = 6;
    if (i + 1 < format.size() && format[i + 1] == '.') {
      const char* end = format.data() + format.size();
      const auto parsed = std::from_chars(format.data() + i + 2, end, precision);
      if (parsed.ec != std::errc() || precision < 0 || precision > kMaxPrecision) {
        return BadConversion("expected a precision of 0..50");
      }
      i = static_cast<size_t>(parsed.ptr - format.data()) - 1;
    }
    if (++i >= format.size()) return BadConversion("it ends with '%'");
    if (format[i] == '%') {
      out += '%';
      continue;
    }
    if (next == items.size()) return BadConversion("there are fewer values than conversions");
    ASSIGN_OR_RETURN(const std::string text, Convert(in, format[i], precision, items[next++]));
    out += text;
  }
  if (is_tuple && next < items.size()) {
    return BadConversion("there are more values than conversions");
  }
  return in.NewText(std::move(out));
}

}  // namespace llmrun::jinja
