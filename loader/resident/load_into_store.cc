#include "loader/resident/load_into_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "loader/resident/data_file.h"
#include "loader/weights_memory.h"

namespace llmrun {
namespace {

constexpr char kThpFix[] = "sudo mount -o remount,huge=advise /dev/shm";

Status CheckLoader(LoaderKind loader) {
  if (loader != LoaderKind::kMmap && loader != LoaderKind::kResident) return {};
  return MakeFixableError(ErrorCode::kUsage, "--loader=auto, read, io_uring or splice",
                          "--loader={} brings no bytes into memory of their own", NameOf(loader));
}

// A path that JSON cannot hold would name another file when it is read back.
Status CheckPaths(const ResidentManifest& manifest) {
  const Result<ResidentManifest> back = ParseManifest(ToJson(manifest), "manifest");
  if (back && *back == manifest) return {};
  return MakeFixableError(ErrorCode::kUsage, "rename the file",
                          "{}: a path that is not UTF-8 cannot stand in a manifest",
                          manifest.parts.front().path);
}

int64_t NanosecondsSinceEpoch() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Status WriteManifest(const ResidentManifest& manifest, const std::string& path) {
  const std::string temp_path = path + ".tmp";
  const UniqueFd fd(
      ::open(temp_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return OsError(errno, temp_path);
  const std::string text = ToJson(manifest);
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n < 0) return OsError(errno, temp_path);
  if (static_cast<size_t>(n) != text.size()) {
    return MakeError(ErrorCode::kResource, "{}: wrote {} of {} bytes", temp_path, n, text.size());
  }
  if (::rename(temp_path.c_str(), path.c_str()) != 0) return OsError(errno, path);
  return {};
}

// Names the data, puts the manifest into place, and removes what it replaced. tmpfs and hugetlbfs
// live as long as the machine runs: there is nothing to fsync.
Status Publish(const StoreDir& dir, const DataFile& file, ResidentStore* store) {
  ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
  ResidentManifest& manifest = store->manifest;
  struct stat info = {};
  if (::fchmod(file.fd.get(), 0400) != 0 || ::fstat(file.fd.get(), &info) != 0) {
    return OsError(errno, file.folder);
  }
  const int64_t now = NanosecondsSinceEpoch();
  manifest.data_path =
      fmt::format("{}/{}-{}-{:x}{}", file.folder, dir.tag(), ::getpid(), now, kDataSuffix);
  manifest.data_inode = info.st_ino;
  manifest.data_bytes = static_cast<uint64_t>(info.st_size);
  manifest.pid = ::getpid();
  manifest.created_seconds = now / 1'000'000'000;
  const std::string unnamed = fmt::format("/proc/self/fd/{}", file.fd.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, manifest.data_path.c_str(),
               AT_SYMLINK_FOLLOW) != 0) {
    return OsError(errno, manifest.data_path);
  }
  const Status written = WriteManifest(manifest, store->manifest_path);
  SweepLeftovers(dir);  // the data that was replaced; ours, when it got no manifest
  return written;
}

// Fills the file and returns the report, with the hash over what lies in it.
Result<LoadReport> Fill(const TensorIndex& index, const Machine& machine, LoadOptions options,
                        DataFile* file) {
  options.hash = true;
  GivenMemory memory;
  memory.seconds_before = file->populate_seconds;
  memory.populate_seconds = file->populate_seconds;
  memory.fallbacks = std::move(file->fallbacks);
  memory.arena = std::move(file->arena);
  ASSIGN_OR_RETURN(const auto weights, StartLoadInto(index, machine, options, std::move(memory)));
  return weights->Finish();
}

}  // namespace

Result<StoredLoad> LoadIntoStore(const TensorIndex& index, const Machine& machine,
                                 const LoadOptions& options) {
  RETURN_IF_ERROR(CheckLoader(options.loader));
  const std::string& model_path = index.files().front().label;
  const PlacementPlan image = PlanImage(index, options.loader, {});
  if (image.arenas.empty()) {
    return MakeError(ErrorCode::kUsage, "{}: there are no weights in it", model_path);
  }
  ASSIGN_OR_RETURN(const StoreDir dir, StoreDir::Make(options.resident_dir));
  {
    ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
    SweepLeftovers(dir);
  }
  ASSIGN_OR_RETURN(std::optional<ResidentStore> found, FindStore(dir, model_path));
  if (found && found->stale.empty()) return StoredLoad{*std::move(found), std::nullopt};

  ResidentStore store{.manifest_path = dir.ManifestPath(model_path), .manifest = {}, .stale = {}};
  ASSIGN_OR_RETURN(store.manifest.parts, DescribeParts(index));
  RETURN_IF_ERROR(CheckPaths(store.manifest));
  store.manifest.arena_bytes = image.arenas.front().bytes;
  ASSIGN_OR_RETURN(DataFile file, MakeDataFile(dir.path(), store.manifest.arena_bytes,
                                               options.hugepages, machine));
  ASSIGN_OR_RETURN(LoadReport report, Fill(index, machine, options, &file));
  if (const Status unchanged = CheckParts(store.manifest); !unchanged) {
    return MakeError(ErrorCode::kBadData, "{}: it changed while it was loaded",
                     unchanged.error().message);
  }
  const bool thp = !IsHugetlb(file.kind) && report.residency.bytes_thp > 0;
  store.manifest.pages = thp ? PageKind::kThp : file.kind;
  store.manifest.xxh3 = report.xxh3;
  if (options.hugepages == HugePages::kThp && !thp) {
    report.fallbacks.push_back({"transparent huge pages", "4K pages",
                                "tmpfs gives them only where it is mounted so", kThpFix});
  }
  RETURN_IF_ERROR(Publish(dir, file, &store));
  return StoredLoad{std::move(store), std::move(report)};
}

}  // namespace llmrun
