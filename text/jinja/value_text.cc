// How values read as text: str() and repr() of Python.
#include <fmt/format.h>

#include "text/jinja/value.h"
#include "text/utf8.h"

namespace llmrun::jinja {
namespace {

class TextWriter {
 public:
  explicit TextWriter(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Recurses as deep as lists are nested: kMaxNesting.
  Status Repr(const Value& value) {
    if (out_.size() > max_bytes_) {
      return MakeError(ErrorCode::kResource, "a text of more than {} bytes", max_bytes_);
    }
    if (const std::string* text = value.string()) {
      Quote(*text);
      return {};
    }
    if (const List* list = value.list()) return ReprList(*list);
    if (const Dict* dict = value.dict()) return ReprDict(*dict);
    out_ += Scalar(value);
    return {};
  }

  static std::string Scalar(const Value& value) {
    if (value.is_undefined()) return "Undefined";
    if (value.is_none()) return "None";
    if (value.is_bool()) return value.IsTrue() ? "True" : "False";
    if (value.is_int()) return fmt::format("{}", value.AsInt());
    if (value.is_float()) return FloatText(value.AsDouble());
    return fmt::format("<{}>", value.TypeName());
  }

  std::string Take() { return std::move(out_); }

 private:
  Status ReprList(const List& list) {
    out_ += list.is_tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      RETURN_IF_ERROR(Repr(list.items[i]));
    }
    if (list.is_tuple && list.items.size() == 1) out_ += ',';
    out_ += list.is_tuple ? ')' : ']';
    return {};
  }

  Status ReprDict(const Dict& dict) {
    out_ += '{';
    for (size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      RETURN_IF_ERROR(Repr(dict.items[i].first));
      out_ += ": ";
      RETURN_IF_ERROR(Repr(dict.items[i].second));
    }
    out_ += '}';
    return {};
  }

  void Quote(const std::string& text) {
    const bool in_double = text.find('\'') != text.npos && text.find('"') == text.npos;
    const char quote = in_double ? '"' : '\'';
    out_ += quote;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == quote || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (byte < 0x20 || byte == 0x7F) {
        out_ += fmt::format("\\x{:02x}", byte);
      } else {
        out_ += c;
      }
    }
    out_ += quote;
  }

  const size_t max_bytes_;
  std::string out_;
};

}  // namespace

Result<std::string> ToText(const Value& value, size_t max_bytes) {
  if (value.is_undefined()) return std::string();
  if (const std::string* text = value.string()) return *text;
  TextWriter writer(max_bytes);
  RETURN_IF_ERROR(writer.Repr(value));
  return writer.Take();
}

}  // namespace llmrun::jinja
