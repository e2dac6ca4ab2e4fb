#include "loader/io/uring_backend.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <thread>

#include "base/check.h"

namespace llmrun {
namespace {

// Best first; an older kernel answers EINVAL to flags it does not know. One issuer and deferred
// task work (6.1) let completions be handled exactly when we wait; COOP_TASKRUN (5.19) at least
// spares the interrupts. A kernel thread that submits goes with neither.
constexpr unsigned kSetupFlags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_COOP_TASKRUN,
    0,
};
constexpr unsigned kSqpollSetupFlags[] = {
    IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SQPOLL,
};

// How often the kernel may say "not now" in a row before the ring counts as broken.
constexpr int kMaxBusyTries = 100'000;

// How long the kernel's submitting thread spins for the next request before it sleeps.
constexpr unsigned kSqpollIdleMs = 2;

// A new ring is often mapped where another thread's ended one lay. The kernel orders the two, but
// liburing maps with bare system calls, which ThreadSanitizer does not see: this shows it the
// order.
std::atomic<unsigned> ended_rings = 0;

// The slots of a file in the table of registered files.
unsigned SlotOf(const ReadRequest& request) { return 2 * request.file + (request.direct ? 1 : 0); }

}  // namespace

tl::expected<std::unique_ptr<ReadBackend>, int> UringBackend::Create(
    std::span<const BackendFile> files, uint32_t queue_depth, IoPoll poll, uint64_t most_bytes) {
  std::unique_ptr<UringBackend> backend(new UringBackend(files, queue_depth, poll, most_bytes));
  const int error = backend->InitRing();
  if (error != 0) return tl::unexpected<int>(error);
  backend->RegisterFiles();
  return backend;
}

int UringBackend::InitRing() {
  const std::span<const unsigned> choices =
      poll_ == IoPoll::kSqpoll ? std::span<const unsigned>(kSqpollSetupFlags) : kSetupFlags;
  int error = EINVAL;
  for (const unsigned flags : choices) {
    io_uring_params params = {};
    params.flags = flags | (poll_ == IoPoll::kIopoll ? IORING_SETUP_IOPOLL : 0);
    params.sq_thread_idle = kSqpollIdleMs;
    error = -io_uring_queue_init_params(capacity_, &ring_, &params);
    if (error != EINVAL) break;
  }
  ended_rings.load(std::memory_order_acquire);
  ring_made_ = error == 0;
  return error;
}

// Registered files spare the kernel a reference count per request. A refusal (limit on open files)
// costs just that.
void UringBackend::RegisterFiles() {
  std::vector<int> table;
  for (const BackendFile& file : files_) table.insert(table.end(), {file.fd, file.direct_fd});
  files_registered_ =
      io_uring_register_files(&ring_, table.data(), static_cast<unsigned>(table.size())) == 0;
}

UringBackend::~UringBackend() {
  if (!ring_made_) return;
  // Closing a ring does not wait for its reads; whoever destroys us will unmap their destinations.
  std::array<ReadCompletion, 64> ignored;
  while (in_flight_ > 0 && Reap(ignored)) {
  }
  ended_rings.fetch_add(1, std::memory_order_release);
  io_uring_queue_exit(&ring_);
}

void UringBackend::Prepare(const ReadRequest& request) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  CHECK(sqe != nullptr);  // the ring has at least capacity_ entries
  const BackendFile& file = files_[request.file];
  const int fd = request.direct ? file.direct_fd : file.fd;
  io_uring_prep_read(
      sqe, files_registered_ ? static_cast<int>(SlotOf(request)) : fd, request.destination,
      static_cast<unsigned>(std::min<uint64_t>(request.bytes, most_bytes_)), request.offset);
  if (files_registered_) io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(sqe, request.tag);
}

void UringBackend::ReadNow(const ReadRequest& request) {
  const ssize_t n = ::pread(files_[request.file].fd, request.destination, request.bytes,
                            static_cast<off_t>(request.offset));
  done_.push_back({request.tag, n < 0 ? -int64_t{errno} : n});
}

Result<size_t> UringBackend::Submit(std::span<const ReadRequest> batch) {
  const size_t taken = std::min<size_t>(batch.size(), capacity_ - in_flight_);
  for (const ReadRequest& request : batch.first(taken)) {
    if (poll_ == IoPoll::kIopoll && !request.direct) {
      ReadNow(request);
    } else {
      Prepare(request);
    }
  }
  in_flight_ += static_cast<uint32_t>(taken);
  // What the kernel does not take now stays in the ring for Reap().
  const int submitted = io_uring_submit(&ring_);
  if (submitted < 0 && submitted != -EAGAIN && submitted != -EBUSY && submitted != -EINTR) {
    return OsError(-submitted, "io_uring_enter");
  }
  return taken;
}

// Hands the kernel what it has not taken yet and waits for a completion. The kernel may take only
// some of the requests, or none for now (EAGAIN, EBUSY); those stay in the ring for the next time.
Status UringBackend::EnterAndWait() {
  for (int busy_tries = 0; busy_tries < kMaxBusyTries;) {
    const int taken = io_uring_submit_and_wait(&ring_, 1);
    if (io_uring_cq_ready(&ring_) > 0) return {};
    if (taken == -EINTR || taken > 0) continue;
    if (taken < 0 && taken != -EAGAIN && taken != -EBUSY) {
      return OsError(-taken, "io_uring_enter");
    }
    ++busy_tries;
    std::this_thread::yield();
  }
  return OsError(EBUSY, "io_uring_enter");
}

Result<size_t> UringBackend::Reap(std::span<ReadCompletion> completions) {
  if (in_flight_ == 0) return 0;
  size_t count = 0;
  while (count < completions.size() && !done_.empty()) {
    completions[count++] = done_.back();
    done_.pop_back();
  }
  if (count == 0) RETURN_IF_ERROR(EnterAndWait());
  while (count < completions.size()) {
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_, &cqe) != 0) break;
    completions[count++] = {io_uring_cqe_get_data64(cqe), cqe->res};
    io_uring_cqe_seen(&ring_, cqe);
  }
  in_flight_ -= static_cast<uint32_t>(count);
  return count;
}

}  // namespace llmrun
