#include "loader/io/model_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/units.h"

namespace llmrun {
namespace {

constexpr int kInputPipeBytes = 1 << 20;  // as much as an unprivileged process may have
constexpr size_t kStepBytes = kMiB;       // of memory taken ahead of what has come
constexpr int kLookAtCancelledMs = 100;

}  // namespace

Result<std::unique_ptr<ModelStream>> ModelStream::Open(int fd, std::string label) {
  constexpr char kExample[] = "zstdcat model.gguf.zst | llm-run -m - -p ...";
  ::fcntl(fd, F_SETPIPE_SZ, kInputPipeBytes);  // a refusal costs speed only
  std::unique_ptr<ModelStream> stream(new ModelStream(fd, std::move(label)));
  const Status begun = stream->Prefetch(1);
  if (!begun) {
    return MakeFixableError(ErrorCode::kNoInput, kExample, "expected a model: {}",
                            begun.error().message);
  }
  if (stream->read_bytes_ == 0) {
    return MakeFixableError(ErrorCode::kNoInput, kExample, "{}: expected a model, found nothing",
                            stream->label_);
  }
  return stream;
}

Result<size_t> ModelStream::Take(std::span<std::byte> out, const std::atomic<bool>* cancelled) {
  size_t taken = 0;
  while (taken < out.size() && !ended_) {
    pollfd waiting = {.fd = fd_, .events = POLLIN, .revents = 0};
    if (cancelled != nullptr && ::poll(&waiting, 1, kLookAtCancelledMs) <= 0) {
      if (cancelled->load(std::memory_order_relaxed)) {
        return MakeError(ErrorCode::kResource, "cancelled");
      }
      continue;
    }
    const ssize_t n = ::read(fd_, out.data() + taken, out.size() - taken);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, fmt::format("{}: reading at byte {}", label_, read_bytes_));
    ended_ = n == 0;
    taken += static_cast<size_t>(n);
    read_bytes_ += static_cast<uint64_t>(n);
  }
  return taken;
}

tl::unexpected<Error> ModelStream::EndedBefore(uint64_t byte) const {
  return MakeError(ErrorCode::kBadData,
                   "{}: the stream ended after {} bytes, expected at least {} (did the program "
                   "before the pipe fail?)",
                   label_, read_bytes_, byte);
}

Status ModelStream::Prefetch(uint64_t end) {
  CHECK(next_ == 0);
  while (read_bytes_ < end && !ended_) {
    const size_t had = head_.size();
    head_.resize(had + std::min<uint64_t>(end - read_bytes_, kStepBytes));
    const Result<size_t> taken = Take(std::span(head_).subspan(had), nullptr);
    head_.resize(had + taken.value_or(0));
    if (!taken) return tl::unexpected<Error>(taken.error());
  }
  return {};
}

Status ModelStream::ReadAt(uint64_t offset, std::span<std::byte> out) {
  const uint64_t end = offset + out.size();
  RETURN_IF_ERROR(Prefetch(end));
  if (end > head_.size()) return EndedBefore(end);
  std::copy_n(head_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  return {};
}

Status ModelStream::ReadNext(uint64_t offset, std::span<std::byte> out,
                             const std::atomic<bool>* cancelled) {
  CHECK(offset >= next_);
  next_ = offset + out.size();
  const uint64_t end = next_;
  if (offset < head_.size()) {
    const size_t held = std::min<uint64_t>(out.size(), head_.size() - offset);
    std::memcpy(out.data(), head_.data() + offset, held);
    out = out.subspan(held);
  }
  if (next_ < head_.size()) return {};
  head_ = {};
  std::array<std::byte, 64 * kKiB> skipped;
  while (!out.empty() && read_bytes_ < end - out.size() && !ended_) {
    const uint64_t most = std::min<uint64_t>(skipped.size(), end - out.size() - read_bytes_);
    RETURN_IF_ERROR(Take(std::span(skipped).first(most), cancelled));
  }
  ASSIGN_OR_RETURN(const size_t taken, Take(out, cancelled));
  if (taken < out.size()) return EndedBefore(end);
  return {};
}

}  // namespace llmrun
