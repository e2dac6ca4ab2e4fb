// Feeds arbitrary text to the converter of JSON schemas; what it makes must be a grammar, but for
// limits, and for references that go round in a circle.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  const Result<std::string> gbnf = JsonSchemaToGbnf({reinterpret_cast<const char*>(data), size});
  if (!gbnf) {
    CHECK(!gbnf.error().message.empty());
    return 0;
  }
  const Result<Grammar> grammar = CompileGrammar(*gbnf);
  if (grammar || grammar.error().code == ErrorCode::kResource) return 0;
  CHECK(grammar.error().message.find("left recursion") != std::string::npos);
  return 0;
}
