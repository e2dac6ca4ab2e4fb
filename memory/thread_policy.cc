#include "memory/thread_policy.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"

namespace llmrun {

Status SetThreadNodes(const NodeSet& nodes) {
  CHECK(!nodes.empty());
  const NodeMask mask(nodes);
  const int mode = nodes.size() == 1 ? MPOL_PREFERRED : MPOL_INTERLEAVE;
  if (::syscall(SYS_set_mempolicy, mode, mask.words(), mask.bits()) == 0) return {};
  const int errnum = errno;
  if (errnum == EINVAL) {
    return MakeError(ErrorCode::kUsage, "{}: no such NUMA node, or not allowed here",
                     NameOf(nodes));
  }
  if (errnum != EPERM && errnum != ENOSYS) return OsError(errnum, "set_mempolicy");
  return MakeFixableError(ErrorCode::kUnavailable,
                          "allow set_mempolicy, e.g. docker run --cap-add=SYS_NICE",
                          "reading onto {}: set_mempolicy is forbidden here", NameOf(nodes));
}

}  // namespace llmrun
