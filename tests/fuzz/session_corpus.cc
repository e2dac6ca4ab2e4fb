// session_corpus DIR: writes the seed files of session_fuzz: sessions that fit, some whose tokens
// or sizes do not, and one of another model.
#include <fmt/format.h>

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fuzz/session_shape.h"
#include "tests/fuzz/text_corpus.h"

namespace llmrun {
namespace {

std::vector<std::byte> Seed(const std::vector<TokenId>& tokens, std::string_view note,
                            int64_t positions) {
  std::vector<std::byte> cache(kFuzzRuns * kFuzzRowBytes * kFuzzContext);
  for (size_t i = 0; i < cache.size(); ++i) cache[i] = static_cast<std::byte>(i * 7);
  return WriteSession(tokens, note, FuzzRuns(cache, positions));
}

std::string_view Text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  using namespace llmrun;
  constexpr std::string_view kTalk = R"([{"role":"user","content":"hello"}])";
  const std::vector<std::byte> whole = Seed({1, 2, 299, 4, 5}, kTalk, 5);
  std::vector<std::byte> other = whole;
  other[offsetof(SessionHeader, identity)] = std::byte{0};
  const std::vector<TokenId> full(kFuzzContext, 7);
  const std::vector<TokenId> over(kFuzzContext + 1, 7);
  return WriteTextSeeds(
      argc, argv,
      {Text(Seed({}, "", 0)), Text(whole), Text(whole).substr(0, whole.size() - 3), Text(other),
       Text(Seed(full, "note", kFuzzContext)), Text(Seed(over, "", kFuzzContext)),
       Text(Seed({1, 300}, "", 2)), Text(Seed({1, -2}, "", 2)), Text(Seed({1, 2}, "", 8))});
}
