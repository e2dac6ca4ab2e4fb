// Feeds arbitrary bytes to the reader of session files, as they are and with their hashes put
// right, without which nothing would come past these. What is accepted must describe itself as it
// did, and be where it is to be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "tests/fuzz/session_shape.h"

namespace llmrun {
namespace {

void ReadOne(std::span<const std::byte> file) {
  static std::vector<std::byte> cache(kFuzzRuns * kFuzzRowBytes * kFuzzContext);
  size_t at = 0;
  const auto read = [&](std::span<std::byte> out) -> Status {
    CHECK(out.size() <= file.size() - at);  // it knows how long the file is
    std::ranges::copy(file.subspan(at, out.size()), out.begin());
    at += out.size();
    return {};
  };
  ByteRuns runs;
  SessionReader reader = FuzzReader();
  reader.runs = [&](int64_t positions) { return runs = FuzzRuns(cache, positions); };
  const Result<SessionContents> contents = ReadSession(file.size(), read, reader);
  if (!contents) {
    CHECK(!contents.error().message.empty());
    return;
  }
  CHECK(at == file.size());
  CHECK(contents->tokens.size() <= reader.n_ctx);
  CHECK(std::ranges::all_of(contents->tokens, [&](TokenId id) {
    return id >= 0 && static_cast<uint64_t>(id) < reader.n_vocab;
  }));
  CHECK(WriteSession(contents->tokens, contents->note, runs) ==
        std::vector(file.begin(), file.end()));
}

std::vector<std::byte> WithRightHashes(std::span<const std::byte> file) {
  std::vector<std::byte> mended(file.begin(), file.end());
  if (mended.size() < sizeof(SessionHeader)) return mended;
  SessionHeader header;
  std::memcpy(&header, mended.data(), sizeof header);
  // Whatever is behind the header, as one run.
  const ByteRuns body = {std::span(mended).subspan(sizeof header)};
  header.body_xxh3 = DescribeSession({}, {}, {}, body).body_xxh3;
  header.header_xxh3 = HeaderHash(header);
  std::memcpy(mended.data(), &header, sizeof header);
  return mended;
}

}  // namespace
}  // namespace llmrun

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  llmrun::ReadOne(file);
  llmrun::ReadOne(llmrun::WithRightHashes(file));
  return 0;
}
