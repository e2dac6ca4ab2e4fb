// Feeds arbitrary text to the grammar parser; what it accepts is followed over the same bytes.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"

// Steps of one execution: a grammar with many ways at a time is followed over fewer bytes.
// One position alone may go to the matcher's own limits.
constexpr size_t kMaxSteps = 4096;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  Result<Grammar> grammar = CompileGrammar({reinterpret_cast<const char*>(data), size});
  if (!grammar) {
    CHECK(!grammar.error().message.empty());
    return 0;
  }
  GrammarMatcher matcher(std::make_shared<const Grammar>(*std::move(grammar)));
  GrammarMatcher::Position position;
  GrammarMatcher::Position next;
  if (!matcher.Start(&position)) return 0;
  // The grammar's own bytes hold its literals: a byte that does not fit is left out.
  size_t steps = 0;
  for (size_t i = 0; i < size && steps < kMaxSteps; ++i) {
    steps += 1 + position.ways.size();
    if (!matcher.Advance(position, data[i], &next)) return 0;
    if (next.ways.empty() && !next.complete) continue;
    std::swap(position, next);
    if (i % 64 == 0) {
      matcher.Compact({&position, 1});
      for (const GrammarMatcher::Way& way : position.ways) CHECK(way.stack < matcher.stack_nodes());
    }
  }
  return 0;
}
