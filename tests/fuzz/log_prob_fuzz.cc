// Feeds arbitrary bytes to the reader of files of log likelihoods. What is accepted can be read to
// its end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/check.h"
#include "loader/gguf/byte_source.h"
#include "model/log_prob_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  auto reader = LogProbReader::Open(
      std::make_unique<MemByteSource>(std::as_bytes(std::span(data, size)), "fuzz"));
  if (!reader) {
    CHECK(!reader.error().message.empty());
    return 0;
  }
  const LogProbHead& head = reader->head();
  CHECK(!head.tokens.empty() && head.tokens.size() % head.n_ctx == 0 && head.rows() > 0);
  constexpr uint64_t kTogether = 3;
  for (uint64_t row = 0; row < head.rows(); row += kTogether) {
    const uint64_t rows = std::min(kTogether, head.rows() - row);
    const auto values = reader->Read(rows);
    CHECK(values && values->size() == rows * head.n_vocab);
  }
  return 0;
}
