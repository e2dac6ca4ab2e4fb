#include "model/session_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "loader/io/output_file.h"
#include "model/model_identity.h"

namespace llmrun {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::array<char, 8> kSessionMagic = {'L', 'L', 'M', 'R', 'S', 'E', 'S', 'S'};
constexpr uint32_t kSessionVersion = 1;
constexpr uint64_t kMaxNoteBytes = uint64_t{1} << 28;

struct FileHeader {
  std::array<char, 8> magic = kSessionMagic;
  uint32_t version = kSessionVersion;
  uint32_t header_bytes = 0;
  uint64_t model = 0;  // ModelIdentity()
  uint32_t key_type = 0;
  uint32_t value_type = 0;
  uint64_t n_layers = 0;
  uint64_t n_kv_heads = 0;
  uint64_t head_dim = 0;
  uint64_t value_dim = 0;
  uint64_t n_tokens = 0;
  uint64_t note_bytes = 0;
  uint64_t kv_bytes = 0;
  uint64_t body_xxh3 = 0;    // of all bytes behind the header
  uint64_t header_xxh3 = 0;  // of all bytes before it
};
static_assert(sizeof(FileHeader) == 104);

uint64_t HeaderHash(const FileHeader& header) {
  return XXH3_64bits(&header, offsetof(FileHeader, header_xxh3));
}

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

// What a file for this session says of it.
Result<FileHeader> HeaderOf(const Session& session) {
  FileHeader header;
  header.header_bytes = sizeof header;
  ASSIGN_OR_RETURN(header.model, ModelIdentity(session.weights()));
  header.key_type = static_cast<uint32_t>(session.kv_types().keys);
  header.value_type = static_cast<uint32_t>(session.kv_types().values);
  header.n_layers = static_cast<uint64_t>(session.config().n_layers);
  header.n_kv_heads = static_cast<uint64_t>(session.config().n_kv_heads);
  header.head_dim = static_cast<uint64_t>(session.config().head_dim);
  header.value_dim = static_cast<uint64_t>(session.config().value_dim);
  return header;
}

uint64_t SizeOf(std::span<const std::span<std::byte>> runs) {
  uint64_t bytes = 0;
  for (const auto& run : runs) bytes += run.size();
  return bytes;
}

Status ReadAll(int fd, std::span<std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::read(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, path);
    if (n == 0) return MakeError(ErrorCode::kBadData, "{}: the session file ends early", path);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

tl::unexpected<Error> Refuse(ErrorCode code, const std::string& path, std::string_view why) {
  return MakeFixableError(code, fmt::format("rm {}, or another file", path),
                          "{}: this session cannot be used: {}", path, why);
}

// Header and size of the file, against what this session wants.
Status CheckHeader(const FileHeader& header, uint64_t file_bytes, const Session& session,
                   const std::string& path) {
  if (header.magic != kSessionMagic) {
    return MakeError(ErrorCode::kBadData, "{}: this is not a session file of llm-run", path);
  }
  if (header.version != kSessionVersion || header.header_bytes != sizeof header) {
    return Refuse(ErrorCode::kUsage, path,
                  fmt::format("expected version {} of the format, found {}", kSessionVersion,
                              header.version));
  }
  if (header.header_xxh3 != HeaderHash(header)) {
    return Refuse(ErrorCode::kBadData, path, "its header is damaged");
  }
  ASSIGN_OR_RETURN(const FileHeader wanted, HeaderOf(session));
  if (header.model != wanted.model || header.n_layers != wanted.n_layers ||
      header.n_kv_heads != wanted.n_kv_heads || header.head_dim != wanted.head_dim ||
      header.value_dim != wanted.value_dim) {
    return Refuse(ErrorCode::kUsage, path, "it was made with another model");
  }
  if (header.key_type != wanted.key_type || header.value_type != wanted.value_type) {
    return Refuse(ErrorCode::kUsage, path, "it was made with other types of the KV cache (-ctk)");
  }
  if (header.n_tokens > static_cast<uint64_t>(session.n_ctx())) {
    return MakeFixableError(ErrorCode::kUsage, fmt::format("-c {}", header.n_tokens),
                            "{}: this session has {} tokens, the context {}", path, header.n_tokens,
                            session.n_ctx());
  }
  const uint64_t others = sizeof header + header.n_tokens * sizeof(TokenId);
  if (header.note_bytes > kMaxNoteBytes || header.kv_bytes > file_bytes ||
      others + header.note_bytes + header.kv_bytes != file_bytes) {
    return Refuse(ErrorCode::kBadData, path,
                  fmt::format("expected {} bytes, found {}",
                              others + header.note_bytes + header.kv_bytes, file_bytes));
  }
  return {};
}

using Pieces = std::vector<std::span<const std::byte>>;

// For its owner alone: it is a conversation.
Status WriteFile(const std::string& path, const Pieces& pieces) {
  uint64_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.size();
  ASSIGN_OR_RETURN(const auto file, OutputFile::Create(path, bytes, OutputFile::Readers::kOwner));
  uint64_t offset = 0;
  for (const auto& piece : pieces) {
    RETURN_IF_ERROR(file->WriteAt(offset, piece));
    offset += piece.size();
  }
  return file->Commit();
}

// Behind a header that fits: everything else, into the cache of the session.
Result<std::string> ReadBody(int fd, const FileHeader& header, Session& session,
                             const std::string& path) {
  std::vector<TokenId> tokens(header.n_tokens);
  std::string note(header.note_bytes, '\0');
  std::vector<std::span<std::byte>> parts = {std::as_writable_bytes(std::span(tokens)),
                                             std::as_writable_bytes(std::span(note))};
  const auto runs = session.KvRuns(static_cast<int64_t>(tokens.size()));
  if (SizeOf(runs) != header.kv_bytes) {
    return Refuse(ErrorCode::kBadData, path, "its parts have other sizes than they must have");
  }
  parts.insert(parts.end(), runs.begin(), runs.end());
  BodyHash hash;
  for (const auto& part : parts) {
    RETURN_IF_ERROR(ReadAll(fd, part, path));
    hash.Add(part);
  }
  if (hash.Get() != header.body_xxh3) {
    return Refuse(ErrorCode::kBadData, path, "its contents are damaged");
  }
  const auto known = [&](TokenId id) { return id >= 0 && id < session.n_vocab(); };
  if (!std::ranges::all_of(tokens, known)) {
    return Refuse(ErrorCode::kBadData, path, "it has tokens that the model does not have");
  }
  session.Adopt(std::move(tokens));
  return note;
}

}  // namespace

Status SaveSession(Session& session, const std::string& path, std::string_view note) {
  if (note.size() > kMaxNoteBytes) {
    return MakeError(ErrorCode::kResource, "{}: a note of {} bytes, at most {}", path, note.size(),
                     kMaxNoteBytes);
  }
  ASSIGN_OR_RETURN(FileHeader header, HeaderOf(session));
  const auto runs = session.KvRuns(session.position());
  header.n_tokens = session.tokens().size();
  header.note_bytes = note.size();
  header.kv_bytes = SizeOf(runs);
  Pieces body = {std::as_bytes(session.tokens()), std::as_bytes(std::span(note))};
  body.insert(body.end(), runs.begin(), runs.end());
  BodyHash hash;
  for (const auto& piece : body) hash.Add(piece);
  header.body_xxh3 = hash.Get();
  header.header_xxh3 = HeaderHash(header);
  body.insert(body.begin(), std::as_bytes(std::span(&header, 1)));
  return WriteFile(path, body);
}

Result<std::string> RestoreSession(Session& session, const std::string& path) {
  session.Truncate(0);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path);
  struct stat about = {};
  if (::fstat(fd.get(), &about) != 0) return OsError(errno, path);
  FileHeader header;
  if (!S_ISREG(about.st_mode) || about.st_size < static_cast<off_t>(sizeof header)) {
    return MakeError(ErrorCode::kBadData, "{}: this is not a session file of llm-run", path);
  }
  RETURN_IF_ERROR(ReadAll(fd.get(), std::as_writable_bytes(std::span(&header, 1)), path));
  RETURN_IF_ERROR(CheckHeader(header, static_cast<uint64_t>(about.st_size), session, path));
  return ReadBody(fd.get(), header, session, path);
}

}  // namespace llmrun
