#include "memory/residency.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/units.h"
#include "memory/smaps.h"

namespace llmrun {
namespace {

constexpr uint64_t kPageBytes = 4 * kKiB;
constexpr uint64_t kMaxSamples = 64 * kKiB;
constexpr uint64_t kQueryBatch = 4096;       // addresses a move_pages(2) call
constexpr uint64_t kMincorePages = 1 << 16;  // pages a mincore(2) call: 256 MiB
constexpr long kCachestatSyscall = 451;      // newer than Debian 12's headers

__extension__ using Uint128 = unsigned __int128;

// The kernel tells the state of a file's page cache to its owner and to who may write it; others
// get "all present" from mincore(2) and EPERM from cachestat(2).
bool MayAskPageCache(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return false;
  return info.st_uid == geteuid() || access(path.c_str(), W_OK) == 0;
}

Result<uint64_t> PresentBytes(uint64_t begin, uint64_t end) {
  std::vector<unsigned char> present(kMincorePages);
  uint64_t pages = 0;
  for (uint64_t at = begin; at < end; at += kMincorePages * kPageBytes) {
    const uint64_t bytes = std::min(end - at, kMincorePages * kPageBytes);
    if (mincore(reinterpret_cast<void*>(at), bytes, present.data()) != 0) {
      return OsError(errno, "mincore");
    }
    const auto last =
        present.begin() + static_cast<ptrdiff_t>((bytes + kPageBytes - 1) / kPageBytes);
    pages += static_cast<uint64_t>(
        std::count_if(present.begin(), last, [](unsigned char flags) { return flags & 1; }));
  }
  return pages * kPageBytes;
}

// The part of `bytes` that falls to `part` of `whole`.
uint64_t Share(uint64_t bytes, uint64_t part, uint64_t whole) {
  return static_cast<uint64_t>(Uint128{bytes} * part / whole);
}

// Page sizes of [begin, end), which lies inside the mapping.
Status AddPages(const Vma& vma, uint64_t begin, uint64_t end, Residency* residency) {
  const uint64_t bytes = end - begin;
  const uint64_t vma_bytes = vma.end - vma.begin;
  if (vma.is_hugetlb()) {
    const uint64_t present = Share(vma.hugetlb_bytes, bytes, vma_bytes);
    (vma.kernel_page_bytes >= kGiB ? residency->bytes_1g : residency->bytes_2m) += present;
    residency->bytes_absent += bytes - std::min(present, bytes);
    return {};
  }
  const bool anonymous = vma.path.empty() || vma.path.front() == '[';
  const bool whole = bytes == vma_bytes;
  uint64_t present = Share(vma.rss_bytes, bytes, vma_bytes);
  if (anonymous ? !whole : MayAskPageCache(vma.path)) {
    ASSIGN_OR_RETURN(present, PresentBytes(begin, end));
  }
  present = std::min(present, bytes);
  const uint64_t thp = std::min(Share(vma.thp_bytes, bytes, vma_bytes), present);
  residency->bytes_thp += thp;
  residency->bytes_4k += present - thp;
  residency->bytes_absent += bytes - present;
  return {};
}

// A number below `below` that follows from `seed` alone (the finaliser of splitmix64; Steele, Lea
// and Flood: Fast Splittable Pseudorandom Number Generators, 2014).
uint64_t Scatter(uint64_t seed, uint64_t below) {
  uint64_t z = (seed + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) % below;
}

// Where the pages of [begin, end) lie. False where the kernel does not tell. Each address asked
// stands for an equal part of the range, so that the parts add up to it; it is somewhere in that
// part, as pages that take turns on two nodes would all be those of one at every other step.
// `all_present`: pages that are not in our page table are in memory all the same (shared files),
// and are entered there to be asked about.
bool AddNodes(uint64_t begin, uint64_t end, uint64_t page_bytes, bool all_present,
              Residency* residency) {
  const uint64_t bytes = end - begin;
  const uint64_t pages = (bytes + page_bytes - 1) / page_bytes;
  const uint64_t samples = page_bytes > kPageBytes ? pages : std::min(pages, kMaxSamples);
  std::vector<void*> addresses;
  std::vector<int> nodes;
  for (uint64_t first = 0; first < samples; first += kQueryBatch) {
    const uint64_t count = std::min(samples - first, kQueryBatch);
    addresses.resize(count);
    nodes.assign(count, -1);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t part = Share(pages, first + i, samples);
      const uint64_t page = part + Scatter(first + i, Share(pages, first + i + 1, samples) - part);
      addresses[i] = reinterpret_cast<void*>(begin + page * page_bytes);
    }
    const auto ask = [&] {
      return syscall(SYS_move_pages, 0, count, addresses.data(), nullptr, nodes.data(), 0) == 0;
    };
    if (!ask()) return false;
    uint64_t entered = 0;
    for (uint64_t i = 0; i < count && all_present; ++i) {
      if (nodes[i] != -ENOENT) continue;
      entered += madvise(addresses[i], page_bytes, MADV_POPULATE_READ) == 0 ? 1 : 0;
    }
    if (entered > 0 && !ask()) return false;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t weight =
          Share(bytes, first + i + 1, samples) - Share(bytes, first + i, samples);
      if (nodes[i] >= 0) residency->node_bytes[nodes[i]] += weight;  // else -ENOENT: not there
    }
  }
  return true;
}

Result<Residency> Inspect(std::span<const std::byte> range, bool with_nodes) {
  Residency residency;
  if (range.empty()) return residency;
  const uint64_t begin = AlignDown(reinterpret_cast<uintptr_t>(range.data()), kPageBytes);
  const uint64_t end =
      AlignUp(reinterpret_cast<uintptr_t>(range.data()) + range.size(), kPageBytes);
  ASSIGN_OR_RETURN(const std::vector<Vma> vmas, ReadVmas(begin, end));
  uint64_t seen_bytes = 0;
  for (const Vma& vma : vmas) {
    const uint64_t from = std::max(begin, vma.begin);
    const uint64_t to = std::min(end, vma.end);
    seen_bytes += to - from;
    const uint64_t absent_before = residency.bytes_absent;
    RETURN_IF_ERROR(AddPages(vma, from, to, &residency));
    const bool all_present = residency.bytes_absent == absent_before;
    with_nodes = with_nodes && AddNodes(from, to, vma.kernel_page_bytes, all_present, &residency);
  }
  if (!with_nodes) residency.node_bytes.clear();
  if (seen_bytes == end - begin) return residency;
  return MakeError(ErrorCode::kOs, "/proc/self/smaps: {} of a range of {} are not mapped",
                   FormatBytes(end - begin - seen_bytes), FormatBytes(end - begin));
}

// nullopt where the kernel is older than 6.5.
std::optional<uint64_t> CachestatBytes(int fd, uint64_t begin, uint64_t file_bytes) {
  struct {
    uint64_t offset, length;
  } range = {begin, file_bytes};
  struct {
    uint64_t cached, dirty, writeback, evicted, recently_evicted;
  } pages = {};
  if (syscall(kCachestatSyscall, fd, &range, &pages, 0) != 0) return std::nullopt;
  return pages.cached * kPageBytes;
}

}  // namespace

uint64_t Residency::PlacedBytes() const {
  uint64_t bytes = 0;
  for (const auto& [node, on_node] : node_bytes) bytes += on_node;
  return bytes;
}

Residency& Residency::operator+=(const Residency& other) {
  bytes_4k += other.bytes_4k;
  bytes_thp += other.bytes_thp;
  bytes_2m += other.bytes_2m;
  bytes_1g += other.bytes_1g;
  bytes_absent += other.bytes_absent;
  for (const auto& [node, bytes] : other.node_bytes) node_bytes[node] += bytes;
  return *this;
}

Result<Residency> InspectRange(std::span<const std::byte> range) { return Inspect(range, true); }

Result<Residency> InspectPages(std::span<const std::byte> range) { return Inspect(range, false); }

Result<std::optional<uint64_t>> CachedBytes(int fd, uint64_t file_bytes) {
  if (file_bytes == 0) return uint64_t{0};  // cachestat takes 0 for "to the end"
  if (!MayAskPageCache(fmt::format("/proc/self/fd/{}", fd))) return std::nullopt;
  if (const std::optional<uint64_t> bytes = CachestatBytes(fd, 0, file_bytes)) {
    return std::min(*bytes, file_bytes);
  }
  void* mapped = mmap(nullptr, file_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return OsError(errno, "mapping a file to see what of it is cached");
  const auto begin = reinterpret_cast<uint64_t>(mapped);
  const Result<uint64_t> present = PresentBytes(begin, begin + file_bytes);
  munmap(mapped, file_bytes);
  if (!present) return tl::unexpected<Error>(present.error());
  return std::min(*present, file_bytes);
}

std::optional<uint64_t> CachedBytesInRange(int fd, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return 0;
  return CachestatBytes(fd, offset, bytes);
}

FaultCounts ProcessFaults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return {static_cast<uint64_t>(usage.ru_minflt), static_cast<uint64_t>(usage.ru_majflt)};
}

}  // namespace llmrun
