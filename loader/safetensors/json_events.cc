#include "loader/safetensors/json_events.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

// Hands the events of nlohmann's parser on and keeps the first failure.
class Adapter final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Adapter(const std::string& label, uint64_t first_byte, JsonEvents& events)
      : label_(label), first_byte_(first_byte), events_(events) {}

  Status outcome() && { return std::move(outcome_); }

  bool null() override { return Keep(events_.Other("null")); }
  bool boolean(bool value) override { return Keep(events_.Other(value ? "true" : "false")); }
  bool number_integer(number_integer_t /*value*/) override {
    return Keep(events_.Other("a negative number"));
  }
  bool number_unsigned(number_unsigned_t value) override { return Keep(events_.Number(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return Keep(events_.Other(text));
  }
  bool string(string_t& value) override { return Keep(events_.Text(std::move(value))); }
  bool binary(binary_t& /*value*/) override { return Keep(events_.Other("binary data")); }
  bool start_object(size_t /*elements*/) override { return Keep(events_.OpenObject()); }
  bool key(string_t& name) override { return Keep(events_.Key(std::move(name))); }
  bool end_object() override { return Keep(events_.CloseObject()); }
  bool start_array(size_t /*elements*/) override { return Keep(events_.OpenArray()); }
  bool end_array() override { return Keep(events_.CloseArray()); }
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::json::exception& /*error*/) override {
    return Keep(MakeError(ErrorCode::kBadData, "{}: byte {}: not valid JSON, near {}", label_,
                          first_byte_ + position, Quoted(token)));
  }

 private:
  bool Keep(Status status) {
    if (status) return true;
    outcome_ = std::move(status);
    return false;
  }

  const std::string& label_;
  const uint64_t first_byte_;
  JsonEvents& events_;
  Status outcome_;
};

}  // namespace

Status ParseJson(std::string_view json, const std::string& label, uint64_t first_byte,
                 JsonEvents& events) {
  // The parser would take a zero byte for the end of the document and ignore what follows.
  if (const size_t zero = json.find('\0'); zero != json.npos) {
    return MakeError(ErrorCode::kBadData, "{}: byte {}: a zero byte inside JSON", label,
                     first_byte + zero);
  }
  Adapter adapter(label, first_byte, events);
  nlohmann::json::sax_parse(json.begin(), json.end(), &adapter);  // false: outcome() says why
  return std::move(adapter).outcome();
}

}  // namespace llmrun
