// The format of session files without sessions and without files: bytes in, values out. What a file
// says of itself is checked against what the session is (model/session_file.h) before anything of
// the size that it says is reserved.
//
// Format, little endian: a header with its own XXH3; then the tokens, a note of the caller, and the
// runs of Session::KvRuns(), with one XXH3 over them all.
//
// Threads: Thread-compatible. Failure: kBadData when the bytes are damaged or no session; kUsage
// when it is one of another model, of other options or too long; errors of the source of the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"

namespace llmrun {

inline constexpr std::array<char, 8> kSessionMagic = {'L', 'L', 'M', 'R', 'S', 'E', 'S', 'S'};
inline constexpr uint32_t kSessionVersion = 1;
inline constexpr uint64_t kMaxSessionNoteBytes = uint64_t{1} << 28;

// A file serves the sessions of which the same is true.
struct SessionIdentity {
  uint64_t model = 0;       // ModelIdentity()
  uint32_t key_type = 0;    // DType
  uint32_t value_type = 0;  // likewise
  uint64_t n_layers = 0;
  uint64_t n_kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t value_dim = 0;
  bool operator==(const SessionIdentity&) const = default;
};

// As it stands in the file.
struct SessionHeader {
  std::array<char, 8> magic = kSessionMagic;
  uint32_t version = kSessionVersion;
  uint32_t header_bytes = 0;
  SessionIdentity identity = {};
  uint64_t n_tokens = 0;
  uint64_t note_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t body_xxh3 = 0;    // of all bytes behind the header
  uint64_t header_xxh3 = 0;  // of all bytes before it
};
static_assert(sizeof(SessionHeader) == 104);

using ByteRuns = std::vector<std::span<std::byte>>;

// The header of a file of these tokens, note and runs.
SessionHeader DescribeSession(const SessionIdentity& identity, std::span<const TokenId> tokens,
                              std::string_view note, const ByteRuns& runs);
// What its header_xxh3 has to be.
uint64_t HeaderHash(const SessionHeader& header);

// For whom a file is read.
struct SessionReader {
  std::string path;  // for errors
  SessionIdentity identity = {};
  uint64_t n_ctx = 0;
  uint64_t n_vocab = 0;
  // Where the runs of so many positions go, at most n_ctx.
  std::function<ByteRuns(int64_t positions)> runs = {};
};
// The next bytes of a file: all of them, or an error.
using ReadBytes = std::function<Status(std::span<std::byte> out)>;

struct SessionContents {
  std::vector<TokenId> tokens;
  std::string note;
};

// A file of `file_bytes` bytes. On failure the runs hold anything.
Result<SessionContents> ReadSession(uint64_t file_bytes, const ReadBytes& read,
                                    const SessionReader& reader);

}  // namespace llmrun
