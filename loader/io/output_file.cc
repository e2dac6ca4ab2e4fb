#include "loader/io/output_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/units.h"

namespace llmrun {
namespace {

Status CheckSpace(const std::string& path, uint64_t bytes) {
  const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
  struct statvfs stats = {};
  if (::statvfs(parent.c_str(), &stats) != 0) return OsError(errno, parent.string());
  const uint64_t free_bytes = uint64_t{stats.f_bavail} * stats.f_frsize;
  if (bytes <= free_bytes) return {};
  return MakeFixableError(ErrorCode::kResource, "free some space, or take another disk",
                          "{}: {} are needed, {} has {} free", path, FormatBytes(bytes),
                          parent.string(), FormatBytes(free_bytes));
}

// So that the new name is on the device, too.
Status SyncFolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return OsError(errno, folder.string());
  return {};
}

}  // namespace

Result<std::unique_ptr<OutputFile>> OutputFile::Create(const std::string& path, uint64_t bytes,
                                                       Readers readers) {
  RETURN_IF_ERROR(CheckSpace(path, bytes));
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  const mode_t mode = readers == Readers::kOwner ? 0600 : 0644;
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return OsError(errno, temporary);
  std::unique_ptr<OutputFile> file(new OutputFile(std::move(fd), path, std::move(temporary)));
  if (::ftruncate(file->fd_.get(), static_cast<off_t>(bytes)) != 0) return OsError(errno, path);
  // Contiguous on disk, and no space to run out of later. Not every file system can.
  (void)::fallocate(file->fd_.get(), 0, 0, static_cast<off_t>(bytes));
  return file;
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status OutputFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, temporary_);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Status OutputFile::Commit() {
  if (::fdatasync(fd_.get()) != 0) return OsError(errno, temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return OsError(errno, path_);
  temporary_.clear();
  return SyncFolderOf(path_);
}

Status WriteWholeFile(const std::string& path, std::string_view text, OutputFile::Readers readers) {
  ASSIGN_OR_RETURN(const auto file, OutputFile::Create(path, text.size(), readers));
  RETURN_IF_ERROR(file->WriteAt(0, std::as_bytes(std::span(text))));
  return file->Commit();
}

}  // namespace llmrun
