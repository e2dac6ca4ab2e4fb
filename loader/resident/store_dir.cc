#include "loader/resident/store_dir.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "base/small_file.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

// The same for every way of writing a path, also of a file that is gone.
std::string WholePath(const std::string& path) {
  std::error_code ignored;
  const fs::path whole = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return whole.empty() ? path : whole.string();
}

std::string HashOfPath(const std::string& path) {
  const std::string whole = WholePath(path);
  return fmt::format("{:016x}", XXH3_64bits(whole.data(), whole.size()));
}

std::optional<PageKind> KindOf(const struct statfs& info) {
  if (info.f_type == TMPFS_MAGIC) return PageKind::k4K;
  if (info.f_type != HUGETLBFS_MAGIC) return std::nullopt;
  const auto page_bytes = static_cast<uint64_t>(info.f_bsize);
  if (page_bytes == PageBytes(PageKind::k2M)) return PageKind::k2M;
  if (page_bytes == PageBytes(PageKind::k1G)) return PageKind::k1G;
  return std::nullopt;
}

// As /proc/self/mounts writes paths: "\040" for a space.
std::string Unescape(const std::string& text) {
  std::string plain;
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace

std::string StoreDirName() { return fmt::format("llm-run-{}", ::geteuid()); }
std::string DefaultStoreDir() { return "/dev/shm/" + StoreDirName(); }

Status CheckOwnFolder(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) return OsError(errno, path);
  if (!S_ISDIR(info.st_mode)) {
    return MakeError(ErrorCode::kUnavailable, "{}: not a folder, no weights are kept in it", path);
  }
  if (info.st_uid != ::geteuid()) {
    return MakeFixableError(ErrorCode::kUnavailable, "--dir with a folder of your own",
                            "{}: belongs to user {}, not to {}: no weights are taken from it", path,
                            info.st_uid, ::geteuid());
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return MakeFixableError(ErrorCode::kUnavailable, fmt::format("chmod 700 {}", path),
                            "{}: others may write to it (mode {:o}): no weights are taken from it",
                            path, info.st_mode & 07777U);
  }
  return {};
}

Status MakeOwnFolder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return OsError(errno, path);
  return CheckOwnFolder(path);
}

StoreDir::StoreDir(const std::string& path) : path_(WholePath(path)), tag_(HashOfPath(path)) {}

Result<std::optional<StoreDir>> StoreDir::Open(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::optional<StoreDir>();
  RETURN_IF_ERROR(CheckOwnFolder(path));
  return StoreDir(path);
}

Result<StoreDir> StoreDir::Make(const std::string& path) {
  RETURN_IF_ERROR(MakeOwnFolder(path));
  struct statfs info = {};
  if (::statfs(path.c_str(), &info) != 0) return OsError(errno, path);
  if (KindOf(info) == PageKind::k4K) return StoreDir(path);
  return MakeFixableError(
      ErrorCode::kUsage, "--dir below /dev/shm, or leave it out",
      "{}: does not lie on tmpfs, where manifests can be written and weights stay in memory "
      "(a mounted hugetlbfs is found without --dir)",
      path);
}

std::string StoreDir::ManifestPath(const std::string& model_path) const {
  return path_ + "/" + HashOfPath(model_path) + ".json";
}

Result<StoreDir::Lock> StoreDir::Take() const {
  UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path_);
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return OsError(errno, fmt::format("{}: locking it", path_));
  }
  return Lock(std::move(fd));
}

std::vector<HugetlbMount> HugetlbMounts(const std::string& mounts) {
  std::vector<HugetlbMount> found;
  const Result<std::string> text = ReadSmallFile(mounts);
  if (!text) return found;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string device;
    std::string path;
    std::string type;
    if (!(words >> device >> path >> type) || type != "hugetlbfs") continue;
    path = Unescape(path);
    struct statfs info = {};
    if (::statfs(path.c_str(), &info) != 0) continue;
    const std::optional<PageKind> kind = KindOf(info);
    if (kind && IsHugetlb(*kind)) found.push_back({path, *kind});
  }
  return found;
}

std::string MountCommand(PageKind kind) {
  const bool root = ::geteuid() == 0;
  const std::string path = fmt::format("/mnt/llm-run-{}", NameOf(kind));
  const std::string owner =
      root ? "" : fmt::format(",uid={},gid={},mode=0700", ::geteuid(), ::getegid());
  const std::string_view sudo = root ? "" : "sudo ";
  return fmt::format("{}mkdir -p {} && {}mount -t hugetlbfs -o pagesize={}{} none {}", sudo, path,
                     sudo, NameOf(kind), owner, path);
}

std::optional<PageKind> PagesOfFileSystem(int fd) {
  struct statfs info = {};
  return ::fstatfs(fd, &info) == 0 ? KindOf(info) : std::nullopt;
}

}  // namespace llmrun
