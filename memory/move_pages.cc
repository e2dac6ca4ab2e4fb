#include "memory/move_pages.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/checked.h"
#include "memory/smaps.h"

namespace llmrun {
namespace {

constexpr uint64_t kAddressStep = 4096;
constexpr uint64_t kBatch = 16'384;  // addresses a call

// One call for all of these pages; with `targets` it moves them, without it tells where they are.
Status Call(const std::vector<void*>& pages, const int* targets, std::vector<int>* nodes) {
  nodes->assign(pages.size(), -ENOENT);
  // A positive answer is the number of pages that were not moved: their entries say why.
  if (::syscall(SYS_move_pages, 0, pages.size(), pages.data(), targets, nodes->data(),
                targets != nullptr ? MPOL_MF_MOVE : 0) >= 0) {
    return {};
  }
  const int error = errno;
  if (error == EPERM || error == ENOSYS) {
    return MakeError(ErrorCode::kUnavailable, "move_pages is forbidden here");
  }
  return OsError(error, "move_pages");
}

Status MoveBatch(const std::vector<void*>& pages, int node) {
  std::vector<int> nodes;
  RETURN_IF_ERROR(Call(pages, nullptr, &nodes));
  std::vector<void*> astray;
  for (size_t i = 0; i < pages.size(); ++i) {
    if (nodes[i] >= 0 && nodes[i] != node) astray.push_back(pages[i]);
  }
  if (astray.empty()) return {};
  const std::vector<int> targets(astray.size(), node);
  return Call(astray, targets.data(), &nodes);
}

}  // namespace

Status MoveToNode(std::span<const std::byte> range, unsigned node) {
  const uint64_t begin = AlignDown(reinterpret_cast<uintptr_t>(range.data()), kAddressStep);
  const uint64_t end =
      AlignUp(reinterpret_cast<uintptr_t>(range.data()) + range.size(), kAddressStep);
  ASSIGN_OR_RETURN(const std::vector<Vma> vmas, ReadVmas(begin, end));
  for (const Vma& vma : vmas) {
    const uint64_t to = std::min(end, vma.end);
    uint64_t at = std::max(begin, vma.begin);
    while (at < to) {
      std::vector<void*> pages;
      for (; at < to && pages.size() < kBatch; at += vma.kernel_page_bytes) {
        pages.push_back(reinterpret_cast<void*>(at));
      }
      RETURN_IF_ERROR(MoveBatch(pages, static_cast<int>(node)));
    }
  }
  return {};
}

}  // namespace llmrun
