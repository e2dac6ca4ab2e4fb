// Feeds arbitrary bytes to the reader of importance matrices, in both of their formats. Whatever is
// accepted must be usable as weights.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "loader/gguf/byte_source.h"
#include "model/importance.h"
#include "tests/fuzz/imatrix_seeds.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  MemByteSource source(std::as_bytes(std::span(data, size)), "fuzz");
  const Result<ImportanceMatrix> matrix = ImportanceMatrix::Parse(source);
  if (!matrix) {
    CHECK(!matrix.error().message.empty());
    return 0;
  }
  CHECK(matrix->size() > 0);
  for (uint64_t slice = 0; slice < kSeedSlices; ++slice) {
    const auto found = matrix->Find(kSeedTensor, kSeedColumns, slice, kSeedSlices);
    if (!found || *found == nullptr) continue;
    for (const float weight : std::span(*found, kSeedColumns)) {
      CHECK(std::isfinite(weight) && weight >= 0);
    }
  }
  return 0;
}
