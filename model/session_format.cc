#include "model/session_format.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "base/check.h"

namespace llmrun {
namespace {

static_assert(std::endian::native == std::endian::little);

// The bytes of a file behind its header, hashed as they pass.
class BodyHash {
 public:
  BodyHash() : state_(XXH3_createState(), XXH3_freeState) {
    CHECK(state_ != nullptr);
    XXH3_64bits_reset(state_.get());
  }
  void Add(std::span<const std::byte> bytes) {
    XXH3_64bits_update(state_.get(), bytes.data(), bytes.size());
  }
  uint64_t Get() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

uint64_t SizeOf(const ByteRuns& runs) {
  uint64_t bytes = 0;
  for (const auto& run : runs) bytes += run.size();
  return bytes;
}

tl::unexpected<Error> NoSession(const std::string& path) {
  return MakeError(ErrorCode::kBadData, "{}: this is not a session file of llm-run", path);
}

tl::unexpected<Error> Refuse(ErrorCode code, const std::string& path, std::string_view why) {
  return MakeFixableError(code, fmt::format("rm {}, or another file", path),
                          "{}: this session cannot be used: {}", path, why);
}

Status CheckHeader(const SessionHeader& header, uint64_t file_bytes, const SessionReader& reader) {
  const std::string& path = reader.path;
  if (header.magic != kSessionMagic) return NoSession(path);
  if (header.version != kSessionVersion || header.header_bytes != sizeof header) {
    return Refuse(ErrorCode::kUsage, path,
                  fmt::format("expected version {} of the format, found {}", kSessionVersion,
                              header.version));
  }
  if (header.header_xxh3 != HeaderHash(header)) {
    return Refuse(ErrorCode::kBadData, path, "its header is damaged");
  }
  SessionIdentity found = header.identity;
  found.key_type = reader.identity.key_type;
  found.value_type = reader.identity.value_type;
  if (found != reader.identity) {
    return Refuse(ErrorCode::kUsage, path, "it was made with another model");
  }
  if (header.identity != reader.identity) {
    return Refuse(ErrorCode::kUsage, path, "it was made with other types of the KV cache (-ctk)");
  }
  if (header.n_tokens > reader.n_ctx) {
    return MakeFixableError(ErrorCode::kUsage, fmt::format("-c {}", header.n_tokens),
                            "{}: this session has {} tokens, the context {}", path, header.n_tokens,
                            reader.n_ctx);
  }
  const uint64_t others = sizeof header + header.n_tokens * sizeof(TokenId);
  if (header.note_bytes > kMaxSessionNoteBytes || header.kv_bytes > file_bytes ||
      others + header.note_bytes + header.kv_bytes != file_bytes) {
    return Refuse(ErrorCode::kBadData, path,
                  fmt::format("expected {} bytes, found {}",
                              others + header.note_bytes + header.kv_bytes, file_bytes));
  }
  return {};
}

}  // namespace

SessionHeader DescribeSession(const SessionIdentity& identity, std::span<const TokenId> tokens,
                              std::string_view note, const ByteRuns& runs) {
  SessionHeader header;
  header.header_bytes = sizeof header;
  header.identity = identity;
  header.n_tokens = tokens.size();
  header.note_bytes = note.size();
  header.kv_bytes = SizeOf(runs);
  BodyHash hash;
  hash.Add(std::as_bytes(tokens));
  hash.Add(std::as_bytes(std::span(note)));
  for (const auto& run : runs) hash.Add(run);
  header.body_xxh3 = hash.Get();
  header.header_xxh3 = HeaderHash(header);
  return header;
}

uint64_t HeaderHash(const SessionHeader& header) {
  return XXH3_64bits(&header, offsetof(SessionHeader, header_xxh3));
}

Result<SessionContents> ReadSession(uint64_t file_bytes, const ReadBytes& read,
                                    const SessionReader& reader) {
  SessionHeader header;
  if (file_bytes < sizeof header) return NoSession(reader.path);
  RETURN_IF_ERROR(read(std::as_writable_bytes(std::span(&header, 1))));
  RETURN_IF_ERROR(CheckHeader(header, file_bytes, reader));
  const ByteRuns runs = reader.runs(static_cast<int64_t>(header.n_tokens));
  if (SizeOf(runs) != header.kv_bytes) {
    return Refuse(ErrorCode::kBadData, reader.path,
                  "its parts have other sizes than they must have");
  }
  SessionContents contents;
  contents.tokens.resize(header.n_tokens);
  contents.note.resize(header.note_bytes);
  ByteRuns parts = {std::as_writable_bytes(std::span(contents.tokens)),
                    std::as_writable_bytes(std::span(contents.note))};
  parts.insert(parts.end(), runs.begin(), runs.end());
  BodyHash hash;
  for (const auto& part : parts) {
    RETURN_IF_ERROR(read(part));
    hash.Add(part);
  }
  if (hash.Get() != header.body_xxh3) {
    return Refuse(ErrorCode::kBadData, reader.path, "its contents are damaged");
  }
  const auto known = [&](TokenId id) {
    return id >= 0 && static_cast<uint64_t>(id) < reader.n_vocab;
  };
  if (!std::ranges::all_of(contents.tokens, known)) {
    return Refuse(ErrorCode::kBadData, reader.path, "it has tokens that the model does not have");
  }
  return contents;
}

}  // namespace llmrun
