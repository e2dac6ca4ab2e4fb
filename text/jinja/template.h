// Templates in the part of Jinja that chat templates are written in: statements if, for, set,
// macro, call, with, filter, do, break, continue, generation and raw; expressions with their
// operators, tests and filters, methods of strings and dictionaries, and the functions range,
// namespace, dict, raise_exception and strftime_now. No inheritance, no imports.
// Source: the documentation and behaviour of Jinja 3.1, as Hugging Face's transformers sets it up.
//
// Owner: values. Threads: immutable after Parse(); Render() is Thread-safe.
// Failure: Parse() gives kBadData with line and column; Render() what jinja/interpreter.h names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/jinja/value.h"

namespace llmrun::jinja {

inline constexpr size_t kMaxSourceBytes = size_t{4} << 20;

struct RenderOptions {
  uint64_t max_steps = 20'000'000;
  size_t max_output_bytes = size_t{64} << 20;
  uint64_t max_memory_bytes = uint64_t{512} << 20;  // of all texts and lists ever made
  std::tm now = {};                                 // for strftime_now
};

class Template {
 public:
  static Result<Template> Parse(std::string_view source);
  // `context`: a dictionary of the variables.
  Result<std::string> Render(const Value& context, const RenderOptions& options) const;

 private:
  struct Parsed;
  explicit Template(std::shared_ptr<const Parsed> parsed);
  std::shared_ptr<const Parsed> parsed_;
};

}  // namespace llmrun::jinja
