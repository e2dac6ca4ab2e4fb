#include "loader/resident/load_into_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "loader/io/output_file.h"
#include "loader/resident/attach.h"
#include "loader/resident/data_file.h"
#include "loader/row_packing.h"
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

// Gives the file the name that the manifest says.
Status Name(const DataFile& file, ResidentData* data) {
  struct stat info = {};
  if (::fchmod(file.fd.get(), 0400) != 0 || ::fstat(file.fd.get(), &info) != 0) {
    return OsError(errno, file.folder);
  }
  data->inode = info.st_ino;
  data->bytes = static_cast<uint64_t>(info.st_size);
  const std::string unnamed = fmt::format("/proc/self/fd/{}", file.fd.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, data->path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return OsError(errno, data->path);
  }
  return {};
}

// Names the data, puts the manifest into place, and removes what it replaced.
Status Publish(const StoreDir& dir, const std::vector<DataFile>& files, ResidentStore* store) {
  ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
  ResidentManifest& manifest = store->manifest;
  const int64_t now = NanosecondsSinceEpoch();
  manifest.pid = ::getpid();
  manifest.created_seconds = now / 1'000'000'000;
  Status done;
  for (size_t i = 0; i < files.size() && done; ++i) {
    manifest.data[i].path = fmt::format("{}/{}-{}-{:x}-{}{}", files[i].folder, dir.tag(),
                                        ::getpid(), now, i, kDataSuffix);
    done = Name(files[i], &manifest.data[i]);
  }
  if (done) {
    done = WriteWholeFile(store->manifest_path, ToJson(manifest), OutputFile::Readers::kOwner);
  }
  SweepLeftovers(dir);  // the data that was replaced; ours, when it got no manifest
  return done;
}

// Fills the files and returns the report, with the hash over what lies in them.
Result<LoadReport> Fill(const TensorIndex& index, const Machine& machine, LoadOptions options,
                        const ImageSpec& images, std::vector<DataFile>* files) {
  options.hash = true;
  GivenMemory memory;
  memory.images = images;
  for (DataFile& file : *files) {
    memory.seconds_before += file.populate_seconds;
    memory.populate_seconds += file.populate_seconds;
    memory.fallbacks.insert(memory.fallbacks.end(), file.fallbacks.begin(), file.fallbacks.end());
    memory.arenas.push_back(std::move(file.arena));
  }
  ASSIGN_OR_RETURN(const auto weights, StartLoadInto(index, machine, options, std::move(memory)));
  return weights->Finish();
}

}  // namespace

Result<StoredLoad> LoadIntoStore(const TensorIndex& index, const Machine& machine,
                                 const LoadOptions& options) {
  RETURN_IF_ERROR(CheckLoader(options.loader));
  const std::string& model_path = index.files().front().label;
  ASSIGN_OR_RETURN(const ImageSpec images, ChooseImages(index, machine, options.numa));
  const PlacementPlan plan = PlanImages(index, options.loader, {}, images);
  if (plan.arenas.empty()) {
    return MakeError(ErrorCode::kUsage, "{}: there are no weights in it", model_path);
  }
  ASSIGN_OR_RETURN(const StoreDir dir, StoreDir::Make(options.resident_dir));
  {
    ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
    SweepLeftovers(dir);
  }
  ASSIGN_OR_RETURN(std::optional<ResidentStore> found, FindStore(dir, model_path));
  if (found && found->stale.empty()) {
    StoredLoad stored{.store = *std::move(found), .report = {}};
    ASSIGN_OR_RETURN(stored.fallbacks, CompareWishes(stored.store.manifest, options));
    return stored;
  }

  ResidentStore store{.manifest_path = dir.ManifestPath(model_path), .manifest = {}, .stale = {}};
  ASSIGN_OR_RETURN(store.manifest.parts, DescribeParts(index));
  store.manifest.numa = images.numa;
  store.manifest.nodes = images.nodes;
  store.manifest.shares = images.shares;
  if (options.pack) store.manifest.packing_version = options.packing->version;
  for (const ArenaPlan& arena : plan.arenas) {
    store.manifest.data.push_back({.image_bytes = arena.bytes, .path = {}});
  }
  RETURN_IF_ERROR(CheckPaths(store.manifest));
  ASSIGN_OR_RETURN(std::vector<DataFile> files,
                   MakeDataFiles(dir.path(), plan.arenas, options.hugepages, machine));
  ASSIGN_OR_RETURN(LoadReport report, Fill(index, machine, options, images, &files));
  if (const Status unchanged = CheckParts(store.manifest); !unchanged) {
    return MakeError(ErrorCode::kBadData, "{}: it changed while it was loaded",
                     unchanged.error().message);
  }
  const bool got_thp = report.residency.bytes_thp > 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const bool thp = got_thp && !IsHugetlb(files[i].kind);
    store.manifest.data[i].pages = thp ? PageKind::kThp : files[i].kind;
  }
  store.manifest.xxh3 = report.xxh3;
  if (options.hugepages == HugePages::kThp && !got_thp) {
    report.fallbacks.push_back({"transparent huge pages", "4K pages",
                                "tmpfs gives them only where it is mounted so", kThpFix});
  }
  RETURN_IF_ERROR(Publish(dir, files, &store));
  return StoredLoad{.store = std::move(store), .report = std::move(report)};
}

}  // namespace llmrun
