#include "loader/io/model_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checked.h"

namespace llmrun {
Result<FileIdentity> IdentityOf(int fd, const std::string& label) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return OsError(errno, label);
  return FileIdentity{.device = info.st_dev,
                      .inode = info.st_ino,
                      .bytes = static_cast<uint64_t>(info.st_size),
                      .modified_seconds = info.st_mtim.tv_sec,
                      .modified_nanoseconds = info.st_mtim.tv_nsec};
}

namespace {

// What statx(2) says about direct I/O: the alignment, 0 for "not supported", or kMaxDirectAlignment
// where the kernel (before 6.1) or the file system does not say.
uint64_t DirectAlignment(int fd) {
  struct statx info = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) != 0) return kMaxDirectAlignment;
  if ((info.stx_mask & STATX_DIOALIGN) == 0) return kMaxDirectAlignment;
  return std::max(info.stx_dio_offset_align, info.stx_dio_mem_align);
}

void OpenDirect(ModelFile* file) {
  const uint64_t alignment = DirectAlignment(file->fd.get());
  if (alignment == 0) {
    file->why_not_direct = "the file system has no direct I/O for this file (statx)";
    return;
  }
  if (!IsPowerOfTwo(alignment) || alignment > kMaxDirectAlignment) {
    file->why_not_direct =
        fmt::format("direct I/O wants an alignment of {} bytes here, plans have {}", alignment,
                    kMaxDirectAlignment);
    return;
  }
  UniqueFd direct(::open(file->label.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
  if (!direct.valid()) {
    file->why_not_direct = fmt::format("open with O_DIRECT was refused: {}", std::strerror(errno));
    return;
  }
  const Result<FileIdentity> identity = IdentityOf(direct.get(), file->label);
  if (!identity || *identity != file->identity) {
    file->why_not_direct = "the path leads to another file by now";
    return;
  }
  file->direct_fd = std::move(direct);
  file->direct_alignment = alignment;
}

}  // namespace

Result<ModelFile> OpenModelFile(const std::string& path, uint64_t expected_bytes) {
  ModelFile file;
  file.label = path;
  file.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.fd.valid()) return OsError(errno, path);
  ASSIGN_OR_RETURN(file.identity, IdentityOf(file.fd.get(), path));
  if (file.identity.bytes != expected_bytes) {
    return MakeError(ErrorCode::kBadData,
                     "{}: changed after its header was read: expected {} bytes, found {}", path,
                     expected_bytes, file.identity.bytes);
  }
  OpenDirect(&file);
  return file;
}

Status CheckUnchanged(const ModelFile& file) {
  ASSIGN_OR_RETURN(const FileIdentity now, IdentityOf(file.fd.get(), file.label));
  if (now == file.identity) return {};
  if (now.bytes != file.identity.bytes) {
    return MakeError(ErrorCode::kBadData, "{}: changed while loading: expected {} bytes, found {}",
                     file.label, file.identity.bytes, now.bytes);
  }
  return MakeError(ErrorCode::kBadData, "{}: changed while loading: it was written to", file.label);
}

}  // namespace llmrun
