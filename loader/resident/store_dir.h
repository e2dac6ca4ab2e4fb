// The folders in which resident weights live: one on tmpfs with the manifests (and the data that
// has no better place), and one on each mounted hugetlbfs with data in huge pages.
//
// A data file has no name while it is filled (O_TMPFILE), so that the memory of a load that dies
// goes with it. It is named and its manifest renamed into place under the lock of the manifests'
// folder; data that no manifest names is what a process that died in between left.
//
// Threads: Thread-compatible. Failure: kUnavailable for a folder that is not ours alone, kOs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "memory/page_kind.h"

namespace llmrun {

// The folder's name for this user: "llm-run-1000". By default it is in /dev/shm.
std::string StoreDirName();
std::string DefaultStoreDir();

class StoreDir {
 public:
  // nullopt when there is none.
  static Result<std::optional<StoreDir>> Open(const std::string& path);
  // Makes it (mode 0700) when there is none. kUsage when it does not lie in memory (tmpfs).
  static Result<StoreDir> Make(const std::string& path);

  const std::string& path() const { return path_; }
  // Data of this folder's manifests begins with it, also on hugetlbfs, which several folders share.
  const std::string& tag() const { return tag_; }
  std::string ManifestPath(const std::string& model_path) const;

  // Held until the lock is destroyed, by one process at a time; gone with a process that dies.
  class Lock {
   public:
    explicit Lock(UniqueFd fd) : fd_(std::move(fd)) {}

   private:
    UniqueFd fd_;
  };
  Result<Lock> Take() const;

 private:
  explicit StoreDir(const std::string& path);

  std::string path_;
  std::string tag_;
};

// Makes a folder of ours or says why it is none: not ours, or others may write to it.
Status MakeOwnFolder(const std::string& path);
Status CheckOwnFolder(const std::string& path);

struct HugetlbMount {
  std::string path;
  PageKind kind = PageKind::k2M;
};
// The mounted hugetlbfs with pages of 2M and 1G. `mounts` is a parameter for tests.
std::vector<HugetlbMount> HugetlbMounts(const std::string& mounts = "/proc/self/mounts");
// "mkdir -p /mnt/llm-run-2M && mount ..." for this user, with sudo when that is not root.
std::string MountCommand(PageKind kind);

// The pages of the file system an open file lies on: k2M or k1G on hugetlbfs, k4K on tmpfs, nullopt
// elsewhere.
std::optional<PageKind> PagesOfFileSystem(int fd);

}  // namespace llmrun
