#include "model/session_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "loader/io/output_file.h"
#include "model/model_identity.h"
#include "model/session_format.h"

namespace llmrun {
namespace {

Result<SessionIdentity> IdentityOf(const Session& session) {
  SessionIdentity identity;
  ASSIGN_OR_RETURN(identity.model, ModelIdentity(session.weights()));
  identity.key_type = static_cast<uint32_t>(session.kv_types().keys);
  identity.value_type = static_cast<uint32_t>(session.kv_types().values);
  identity.n_layers = static_cast<uint64_t>(session.config().n_layers);
  identity.n_kv_heads = static_cast<uint64_t>(session.config().n_kv_heads);
  identity.head_dim = static_cast<uint64_t>(session.config().head_dim);
  identity.value_dim = static_cast<uint64_t>(session.config().value_dim);
  return identity;
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

}  // namespace

Status SaveSession(Session& session, const std::string& path, std::string_view note) {
  if (note.size() > kMaxSessionNoteBytes) {
    return MakeError(ErrorCode::kResource, "{}: a note of {} bytes, at most {}", path, note.size(),
                     kMaxSessionNoteBytes);
  }
  ASSIGN_OR_RETURN(const SessionIdentity identity, IdentityOf(session));
  const ByteRuns runs = session.KvRuns(session.position());
  const SessionHeader header = DescribeSession(identity, session.tokens(), note, runs);
  Pieces pieces = {std::as_bytes(std::span(&header, 1)), std::as_bytes(session.tokens()),
                   std::as_bytes(std::span(note))};
  pieces.insert(pieces.end(), runs.begin(), runs.end());
  return WriteFile(path, pieces);
}

Result<std::string> RestoreSession(Session& session, const std::string& path) {
  session.Truncate(0);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path);
  struct stat about = {};
  if (::fstat(fd.get(), &about) != 0) return OsError(errno, path);
  const uint64_t file_bytes = S_ISREG(about.st_mode) ? static_cast<uint64_t>(about.st_size) : 0;
  ASSIGN_OR_RETURN(const SessionIdentity identity, IdentityOf(session));
  const SessionReader reader = {
      .path = path,
      .identity = identity,
      .n_ctx = static_cast<uint64_t>(session.n_ctx()),
      .n_vocab = static_cast<uint64_t>(session.n_vocab()),
      .runs = [&session](int64_t positions) { return session.KvRuns(positions); }};
  const auto read = [&](std::span<std::byte> out) { return ReadAll(fd.get(), out, path); };
  ASSIGN_OR_RETURN(SessionContents contents, ReadSession(file_bytes, read, reader));
  session.Adopt(std::move(contents.tokens));
  return std::move(contents.note);
}

}  // namespace llmrun
