#include "tests/support/fault_backend.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace llmrun {

Result<size_t> FaultBackend::Submit(std::span<const ReadRequest> batch) {
  const size_t room = options_.capacity - pending_.size();
  size_t taken = std::min(batch.size(), room);
  // Sometimes fewer than there is room for, but never none when nothing is in flight.
  if (taken > 0 && Draw(4) == 0) taken = Draw(static_cast<uint32_t>(taken) + 1);
  if (taken == 0 && pending_.empty() && !batch.empty()) taken = 1;
  for (const ReadRequest& request : batch.first(taken)) {
    const uint64_t mask = options_.direct_alignment - 1;
    const auto address = reinterpret_cast<uintptr_t>(request.destination);
    if (request.direct && ((request.offset | request.bytes | address) & mask) != 0) ++misaligned_;
    std::memset(request.destination, 0xee, request.bytes);
    pending_.push_back(request);
  }
  return taken;
}

Result<size_t> FaultBackend::Reap(std::span<ReadCompletion> completions) {
  if (pending_.empty()) return 0;
  const size_t most = std::min(completions.size(), pending_.size());
  const size_t count = 1 + Draw(static_cast<uint32_t>(most));
  for (size_t i = 0; i < count; ++i) {
    std::swap(pending_[Draw(static_cast<uint32_t>(pending_.size()))], pending_.back());
    const ReadRequest request = pending_.back();
    pending_.pop_back();
    completions[i] = {request.tag, Carry(request)};
  }
  return count;
}

int64_t FaultBackend::Carry(const ReadRequest& request) {
  if (request.direct && options_.refuse_direct) return -EINVAL;
  const uint32_t dice = Draw(1000);
  if (dice < options_.again_permille) return Draw(2) == 0 ? -EINTR : -EAGAIN;
  if (dice < options_.again_permille + options_.error_permille) {
    ++errors_given_;
    return -EIO;
  }
  const std::vector<std::byte>& file = files_[request.file];
  if (request.offset >= file.size()) return 0;
  uint64_t bytes = std::min<uint64_t>(request.bytes, file.size() - request.offset);
  if (Draw(1000) < options_.short_permille) {
    // The lengths that are easy to get wrong, and any other.
    const uint64_t lengths[] = {1, 511, 512, 513, 1 + Draw(static_cast<uint32_t>(bytes))};
    bytes = std::min(bytes, lengths[Draw(std::size(lengths))]);
  }
  std::memcpy(request.destination, file.data() + request.offset, bytes);
  return static_cast<int64_t>(bytes);
}

}  // namespace llmrun
