// Feeds arbitrary text to the template engine, and renders what it accepts with a conversation in
// which every kind of value occurs. Limits are small, so that all of them are met.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/jinja/json.h"
#include "text/jinja/template.h"

namespace llmrun::jinja {
namespace {

const Value& Context() {
  static const Value context = FromJson(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": " a\n"}, {"role": "user", "content": "é\u0001🙂"},
                 {"role": "assistant", "content": null, "tool_calls": [{"id": 1.5}]}],
    "tools": [{"function": {"name": "f", "parameters": {"x": [true, -3, {}]}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})"))
                                   .value();
  return context;
}

}  // namespace
}  // namespace llmrun::jinja

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const Result<jinja::Template> parsed = jinja::Template::Parse(source);
  if (!parsed) {
    CHECK(!parsed.error().message.empty());
    return 0;
  }
  jinja::RenderOptions options;
  options.max_steps = 2'000;
  options.max_output_bytes = 20'000;
  options.max_memory_bytes = 200'000;
  const Result<std::string> text = parsed->Render(jinja::Context(), options);
  if (!text) {
    CHECK(!text.error().message.empty());
    return 0;
  }
  CHECK(text->size() <= options.max_output_bytes);
  CHECK(parsed->Render(jinja::Context(), options).value() == *text);
  return 0;
}
