#include "loader/io/thread_backend.h"

#include <algorithm>
#include <utility>

#include "loader/io/start_thread.h"

namespace llmrun {

ThreadBackend::ThreadBackend(std::string name, std::vector<BlockingReader> readers)
    : name_(std::move(name)),
      readers_(std::move(readers)),
      // As many again wait in the queue, so that no thread idles while completions are handled.
      capacity_(static_cast<uint32_t>(2 * readers_.size())) {}

Result<std::unique_ptr<ReadBackend>> ThreadBackend::Create(std::string name,
                                                           std::vector<BlockingReader> readers,
                                                           const std::vector<unsigned>& cpus) {
  std::unique_ptr<ThreadBackend> backend(new ThreadBackend(std::move(name), std::move(readers)));
  for (const BlockingReader& reader : backend->readers_) {
    ASSIGN_OR_RETURN(
        std::thread thread,
        StartThread("reading", cpus, [self = backend.get(), &reader] { self->Work(reader); }));
    backend->threads_.push_back(std::move(thread));
  }
  return backend;
}

ThreadBackend::~ThreadBackend() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  work_arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<size_t> ThreadBackend::Submit(std::span<const ReadRequest> batch) {
  const size_t taken = std::min<size_t>(batch.size(), capacity_ - in_flight_);
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  if (taken == 1) {
    work_arrived_.notify_one();
  } else {
    work_arrived_.notify_all();
  }
  in_flight_ += static_cast<uint32_t>(taken);
  return taken;
}

Result<size_t> ThreadBackend::Reap(std::span<ReadCompletion> completions) {
  if (in_flight_ == 0) return 0;
  std::unique_lock lock(mutex_);
  work_done_.wait(lock, [this] { return !done_.empty(); });
  const size_t count = std::min(completions.size(), done_.size());
  const auto end = done_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(done_.begin(), end, completions.begin());
  done_.erase(done_.begin(), end);
  in_flight_ -= static_cast<uint32_t>(count);
  return count;
}

void ThreadBackend::Work(const BlockingReader& reader) {
  std::unique_lock lock(mutex_);
  while (true) {
    work_arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const ReadRequest request = queue_.front();
    queue_.pop_front();
    lock.unlock();
    const int64_t result = reader(request);
    lock.lock();
    done_.push_back({request.tag, result});
    work_done_.notify_one();
  }
}

}  // namespace llmrun
