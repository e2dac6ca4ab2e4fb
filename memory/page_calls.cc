#include "memory/page_calls.h"

#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/small_file.h"
#include "memory/hugepage_pool.h"
#include "memory/limits.h"
#include "memory/residency.h"

namespace llmrun {
namespace {

constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

// mmap of hugetlb pages takes its reservation from the pool at once, so a dry run elsewhere tells
// whether they can be had. A refused MAP_FIXED could leave a hole in our range, into which another
// thread's mmap may fall before we close it.
int MapHugetlb(std::byte* at, uint64_t bytes, PageKind kind) {
  const int flags = kPrivate | MAP_HUGETLB | (kind == PageKind::k1G ? MAP_HUGE_1GB : MAP_HUGE_2MB);
  void* trial = mmap(nullptr, bytes, kReadWrite, flags, -1, 0);
  if (trial == MAP_FAILED) return errno;
  munmap(trial, bytes);
  return mmap(at, bytes, kReadWrite, flags | MAP_FIXED, -1, 0) == MAP_FAILED ? errno : 0;
}

int MapBasePages(std::byte* at, uint64_t bytes, PageKind kind) {
  if (kind == PageKind::kThp) {
    if (const std::string mode = ThpMode(); mode.empty() || mode == "never") return EOPNOTSUPP;
    if (madvise(at, bytes, MADV_HUGEPAGE) != 0) return EOPNOTSUPP;
  } else {
    // Where the kernel's mode is "always", 4K must still mean 4K. Fails only where there is no THP.
    madvise(at, bytes, MADV_NOHUGEPAGE);
  }
  return mprotect(at, bytes, kReadWrite) == 0 ? 0 : errno;
}

// For kernels before 5.14, which cannot populate and report; never for hugetlb, where a touch that
// cannot be served is a SIGBUS.
void TouchByHand(std::byte* at, uint64_t bytes) {
  volatile std::byte* memory = at;
  for (uint64_t i = 0; i < bytes; i += PageBytes(PageKind::k4K)) memory[i] = std::byte{0};
}

class RealPageCalls final : public PageCalls {
 public:
  int Map(std::byte* at, uint64_t bytes, PageKind kind) override {
    return IsHugetlb(kind) ? MapHugetlb(at, bytes, kind) : MapBasePages(at, bytes, kind);
  }

  int Unmap(std::byte* at, uint64_t bytes) override {
    const int flags = kPrivate | MAP_NORESERVE | MAP_FIXED;
    return mmap(at, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED ? errno : 0;
  }

  // The raw system call: glibc has no wrapper and libnuma would be a library for one function.
  int Bind(std::byte* at, uint64_t bytes, const NodeSet& nodes) override {
    const NodeMask mask(nodes);
    const int mode = nodes.size() == 1 ? MPOL_BIND : MPOL_INTERLEAVE;
    return syscall(SYS_mbind, at, bytes, mode, mask.words(), mask.bits(), 0) == 0 ? 0 : errno;
  }

  int Populate(std::byte* at, uint64_t bytes, PageKind kind) override {
    if (madvise(at, bytes, MADV_POPULATE_WRITE) == 0) return 0;
    if (errno != EINVAL || IsHugetlb(kind)) return errno;
    TouchByHand(at, bytes);
    return 0;
  }

  uint64_t FreePages(PageKind kind, const NodeSet& nodes) override {
    const Result<std::vector<PoolStatus>> pools = HugePoolStatus();
    if (!pools) return 0;
    uint64_t all_pages = 0;
    std::vector<uint64_t> pages_of(nodes.size());
    for (const PoolStatus& pool : *pools) {
      if (pool.kind != kind) continue;
      all_pages += pool.free_pages;
      const auto place = std::ranges::find(nodes, pool.node);
      if (place != nodes.end()) {
        pages_of[static_cast<size_t>(place - nodes.begin())] = pool.free_pages;
      }
    }
    return nodes.empty() ? all_pages : nodes.size() * std::ranges::min(pages_of);
  }

  std::optional<AvailableMemory> Available(const NodeSet& nodes) override {
    const Result<Limits> limits = ReadLimits();
    if (!limits) return std::nullopt;
    const AvailableMemory everywhere{limits->available_bytes, limits->available_source};
    uint64_t bytes = 0;
    for (const unsigned node : nodes) {
      const std::optional<uint64_t> on_node = NodeAvailableBytes(node);
      if (!on_node) return everywhere;
      bytes += *on_node;
    }
    if (nodes.empty() || bytes >= everywhere.bytes) return everywhere;
    return AvailableMemory{bytes, NameOf(nodes)};
  }

  std::optional<uint64_t> ThpBytes(const std::byte* at, uint64_t bytes) override {
    const Result<Residency> residency = InspectPages({at, bytes});
    if (!residency) return std::nullopt;
    return residency->bytes_thp;
  }
};

}  // namespace

PageCalls& SystemPageCalls() {
  static RealPageCalls calls;
  return calls;
}

Result<Fallback> ExplainNoBinding(const NodeSet& nodes, int errnum) {
  if (errnum == EINVAL) {
    return MakeError(ErrorCode::kUsage, "{}: no such NUMA node, or not allowed here",
                     NameOf(nodes));
  }
  if (errnum != EPERM && errnum != ENOSYS) return OsError(errnum, "binding memory to a node");
  return Fallback{fmt::format("memory bound to {}", NameOf(nodes)),
                  nodes.size() == 1 ? "first touch by threads on that node" : "first touch",
                  fmt::format("mbind: {}", std::strerror(errnum)),
                  "allow mbind, e.g. docker run --cap-add=SYS_NICE"};
}

std::string ThpMode() {
  const Result<std::string> text = ReadSmallFile("/sys/kernel/mm/transparent_hugepage/enabled");
  if (!text) return "";
  const size_t begin = text->find('[');  // "always [madvise] never"
  const size_t end = text->find(']');
  if (begin == text->npos || end == text->npos || end < begin) return "";
  return text->substr(begin + 1, end - begin - 1);
}

}  // namespace llmrun
