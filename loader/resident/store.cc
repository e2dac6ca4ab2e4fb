#include "loader/resident/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/small_file.h"
#include "base/units.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kHashChunkBytes = kMiB;

Result<uint64_t> HashOfHeader(int fd, const std::string& path, uint64_t header_bytes) {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(),
                                                                              XXH3_freeState);
  if (!state) return MakeError(ErrorCode::kResource, "out of memory");
  XXH3_64bits_reset(state.get());
  std::vector<char> buffer(std::min(header_bytes, kHashChunkBytes));
  for (uint64_t at = 0; at < header_bytes;) {
    const ssize_t n = ::pread(fd, buffer.data(), std::min(header_bytes - at, kHashChunkBytes),
                              static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, path);
    if (n == 0) return MakeError(ErrorCode::kBadData, "{}: ends at {}", path, at);
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  return XXH3_64bits_digest(state.get());
}

Result<ResidentPart> DescribePart(const std::string& path, uint64_t header_bytes) {
  ResidentPart part{.path = path, .identity = {}, .header_bytes = header_bytes};
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return OsError(errno, path);
  ASSIGN_OR_RETURN(part.identity, IdentityOf(fd.get(), path));
  ASSIGN_OR_RETURN(part.header_xxh3, HashOfHeader(fd.get(), path, header_bytes));
  return part;
}

// Fails with "<label>: <what> was <was>, is <is>" when they differ.
template <typename T>
Status Same(const std::string& label, std::string_view what, const T& was, const T& is) {
  if (was == is) return {};
  return MakeError(ErrorCode::kUnavailable, "{}: {} was {}, is {}", label, what, was, is);
}

Status SamePart(const ResidentPart& was, const ResidentPart& is) {
  const auto time = [](const FileIdentity& id) {
    return fmt::format("{}.{:09}", id.modified_seconds, id.modified_nanoseconds);
  };
  const auto hex = [](uint64_t hash) { return fmt::format("{:016x}", hash); };
  RETURN_IF_ERROR(Same(was.path, "device", was.identity.device, is.identity.device));
  RETURN_IF_ERROR(Same(was.path, "inode", was.identity.inode, is.identity.inode));
  RETURN_IF_ERROR(Same(was.path, "size", was.identity.bytes, is.identity.bytes));
  RETURN_IF_ERROR(Same(was.path, "time of modification", time(was.identity), time(is.identity)));
  return Same(was.path, "hash of its header", hex(was.header_xxh3), hex(is.header_xxh3));
}

std::string WhyStale(const ResidentManifest& manifest) {
  if (const Status parts = CheckParts(manifest); !parts) return parts.error().message;
  for (const ResidentData& data : manifest.data) {
    if (const auto fd = OpenData(data); !fd) return fd.error().message;
  }
  return "";
}

Result<ResidentStore> ReadStore(const std::string& manifest_path) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(manifest_path));
  ResidentStore store{.manifest_path = manifest_path, .manifest = {}, .stale = {}};
  Result<ResidentManifest> manifest = ParseManifest(text, manifest_path);
  if (manifest) {
    store.manifest = *std::move(manifest);
    store.stale = WhyStale(store.manifest);
  } else {
    store.stale = manifest.error().message;
  }
  return store;
}

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    paths.push_back(it->path().string());
  }
  return paths;
}

// Without looking at their data and models.
std::vector<ResidentManifest> ManifestsIn(const StoreDir& dir) {
  std::vector<ResidentManifest> manifests;
  for (const std::string& path : FilesIn(dir.path())) {
    if (!path.ends_with(".json")) continue;
    const Result<std::string> text = ReadSmallFile(path);
    if (!text) continue;
    if (Result<ResidentManifest> manifest = ParseManifest(*text, path)) {
      manifests.push_back(*std::move(manifest));
    }
  }
  return manifests;
}

Result<std::vector<ResidentStore>> ReadStores(const StoreDir& dir) {
  std::vector<ResidentStore> stores;
  for (const std::string& path : FilesIn(dir.path())) {
    if (!path.ends_with(".json")) continue;
    ASSIGN_OR_RETURN(ResidentStore store, ReadStore(path));
    stores.push_back(std::move(store));
  }
  const auto model = [](const ResidentStore& store) {
    return store.manifest.parts.empty() ? store.manifest_path : store.manifest.parts.front().path;
  };
  std::ranges::sort(stores, {}, model);
  return stores;
}

}  // namespace

Result<std::vector<ResidentPart>> DescribeParts(const TensorIndex& index) {
  std::vector<ResidentPart> parts;
  for (const GgufFile& file : index.files()) {
    std::error_code error;
    const fs::path path = fs::canonical(file.label, error);
    if (error) return OsError(error.value(), file.label);
    ASSIGN_OR_RETURN(ResidentPart part, DescribePart(path.string(), file.data_offset));
    parts.push_back(std::move(part));
  }
  return parts;
}

Status CheckParts(const ResidentManifest& manifest) {
  RETURN_IF_ERROR(Same("resident weights", "version of the layout", manifest.layout_version,
                       kImageLayoutVersion));
  for (const ResidentPart& was : manifest.parts) {
    const Result<ResidentPart> is = DescribePart(was.path, was.header_bytes);
    if (!is) return MakeError(ErrorCode::kUnavailable, "{}", is.error().message);
    RETURN_IF_ERROR(SamePart(was, *is));
  }
  return {};
}

Result<UniqueFd> OpenData(const ResidentData& data) {
  const std::string& path = data.path;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info = {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    return MakeError(ErrorCode::kUnavailable, "the weights are gone: {}: {}", path,
                     std::strerror(errno));
  }
  RETURN_IF_ERROR(Same(path, "owner", ::geteuid(), info.st_uid));
  RETURN_IF_ERROR(Same(path, "inode", data.inode, uint64_t{info.st_ino}));
  RETURN_IF_ERROR(Same(path, "size", data.bytes, static_cast<uint64_t>(info.st_size)));
  const std::optional<PageKind> found = PagesOfFileSystem(fd.get());
  const PageKind wanted = IsHugetlb(data.pages) ? data.pages : PageKind::k4K;
  const std::string_view found_name = found ? NameOf(*found) : "those of a disk";
  RETURN_IF_ERROR(Same(path, "kind of pages", NameOf(wanted), found_name));
  return fd;
}

Result<std::optional<ResidentStore>> FindStore(const StoreDir& dir, const std::string& model_path) {
  const std::string path = dir.ManifestPath(model_path);
  Result<ResidentStore> store = ReadStore(path);
  if (store) return std::optional(*std::move(store));
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::optional<ResidentStore>();
  return tl::unexpected<Error>(std::move(store).error());
}

Result<std::vector<ResidentStore>> ListStores(const StoreDir& dir) {
  ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
  SweepLeftovers(dir);
  return ReadStores(dir);
}

Result<std::vector<ResidentStore>> DropStores(const StoreDir& dir,
                                              const std::optional<std::string>& model_path) {
  ASSIGN_OR_RETURN(const StoreDir::Lock lock, dir.Take());
  ASSIGN_OR_RETURN(std::vector<ResidentStore> stores, ReadStores(dir));
  if (model_path) {
    const std::string only = dir.ManifestPath(*model_path);
    std::erase_if(stores, [&](const ResidentStore& store) { return store.manifest_path != only; });
  }
  for (const ResidentStore& store : stores) {
    if (::unlink(store.manifest_path.c_str()) != 0) return OsError(errno, store.manifest_path);
  }
  SweepLeftovers(dir);
  return stores;
}

void SweepLeftovers(const StoreDir& dir) {
  std::set<std::string> named;
  for (const ResidentManifest& manifest : ManifestsIn(dir)) {
    for (const ResidentData& data : manifest.data) named.insert(fs::path(data.path).filename());
  }
  std::vector<std::string> folders = {dir.path()};
  for (const HugetlbMount& mount : HugetlbMounts()) {
    const std::string folder = mount.path + "/" + StoreDirName();
    if (CheckOwnFolder(folder)) folders.push_back(folder);
  }
  for (const std::string& folder : folders) {
    for (const std::string& path : FilesIn(folder)) {
      const std::string name = fs::path(path).filename();
      const bool data = name.starts_with(dir.tag()) && name.ends_with(kDataSuffix);
      const bool half_written = folder == dir.path() && name.ends_with(".tmp");
      if ((data && !named.contains(name)) || half_written) ::unlink(path.c_str());
    }
  }
}

}  // namespace llmrun
