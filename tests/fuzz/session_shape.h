// A session small enough to be fuzzed: what its files are of, and one made by hand. For
// session_fuzz and session_corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/session_format.h"
#include "tests/support/session_bytes.h"

namespace llmrun {

inline constexpr size_t kFuzzRuns = 4;
inline constexpr size_t kFuzzRowBytes = 3;
inline constexpr size_t kFuzzContext = 64;

// But for where the runs go.
inline SessionReader FuzzReader() {
  SessionReader reader;
  reader.path = "session";
  reader.identity = {.model = 0x0123456789ABCDEF,
                     .key_type = 1,
                     .value_type = 8,
                     .n_layers = 2,
                     .n_kv_heads = 1,
                     .head_dim = 3,
                     .value_dim = 3};
  reader.n_ctx = kFuzzContext;
  reader.n_vocab = 300;
  return reader;
}

// Groups of four positions, as caches have groups. `cache` has room for the whole context.
inline ByteRuns FuzzRuns(std::span<std::byte> cache, int64_t positions) {
  const size_t bytes = (static_cast<size_t>(positions) + 3) / 4 * 4 * kFuzzRowBytes;
  ByteRuns runs;
  for (size_t i = 0; i < kFuzzRuns; ++i) {
    runs.push_back(cache.subspan(i * kFuzzRowBytes * kFuzzContext, bytes));
  }
  return runs;
}

inline std::vector<std::byte> WriteSession(std::span<const TokenId> tokens, std::string_view note,
                                           const ByteRuns& runs) {
  return SessionBytes(DescribeSession(FuzzReader().identity, tokens, note, runs), tokens, note,
                      runs);
}

}  // namespace llmrun
