#include "loader/io/poll_queues.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/small_file.h"
#include "memory/page_kind.h"

namespace llmrun {
namespace {

// Of a read that the device takes whole wherever its pages lie: as many as it has segments, less
// one for a destination that begins in the middle of a page.
uint64_t MostBytes(const std::filesystem::path& queue) {
  const uint64_t page = PageBytes(PageKind::k4K);
  uint64_t bytes = PollQueues().most_bytes;
  const auto number = [&](const char* name) { return ReadNumberFile((queue / name).string()); };
  const auto sectors_kb = number("max_sectors_kb");
  const auto segments = number("max_segments");
  if (sectors_kb && segments && *segments > 1) {
    bytes = std::min(*sectors_kb << 10, (*segments - 1) * page);
  }
  return std::max(bytes / page, uint64_t{1}) * page;
}

}  // namespace

PollQueues PollQueuesOf(int direct_fd, const std::string& sys) {
  PollQueues found;
  struct stat status = {};
  if (direct_fd < 0 || ::fstat(direct_fd, &status) != 0) {
    found.why_not = "only direct I/O can be polled";
    return found;
  }
  const std::filesystem::path entry =
      fmt::format("{}/dev/block/{}:{}", sys, major(status.st_dev), minor(status.st_dev));
  std::error_code none;
  std::filesystem::path device = std::filesystem::canonical(entry, none);
  if (none) return found;  // no device of its own
  if (std::filesystem::exists(device / "partition", none)) device = device.parent_path();
  const std::filesystem::path queue = device / "queue";
  const std::string name = device.filename().string();
  found.most_bytes = MostBytes(queue);
  if (ReadNumberFile((queue / "io_poll").string()).value_or(1) == 0) {
    found.why_not = fmt::format("{} has no poll queues", name);
  } else if (ReadNumberFile((queue / "chunk_sectors").string()).value_or(0) != 0) {
    found.why_not = fmt::format("{} has boundaries that reads are split at", name);
  }
  return found;
}

}  // namespace llmrun
