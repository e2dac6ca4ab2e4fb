// A ReadBackend made of threads that block: each takes the oldest request and reads it. What
// "reading" is, the worker decides (pread, splice).
//
// Threads: as ReadBackend. Workers are called on the backend's own threads, each on one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "loader/io/read_backend.h"

namespace llmrun {

// Carries out one request: bytes read, 0 at the end of the file, or -errno. It may stop short.
using BlockingReader = std::function<int64_t(const ReadRequest&)>;

class ThreadBackend final : public ReadBackend {
 public:
  // One thread for each reader; all may run on any of `cpus` (empty: anywhere).
  static Result<std::unique_ptr<ReadBackend>> Create(std::string name,
                                                     std::vector<BlockingReader> readers,
                                                     const std::vector<unsigned>& cpus);
  ~ThreadBackend() override;

  std::string_view Name() const override { return name_; }
  uint32_t Capacity() const override { return capacity_; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override;
  Result<size_t> Reap(std::span<ReadCompletion> completions) override;

 private:
  ThreadBackend(std::string name, std::vector<BlockingReader> readers);
  void Work(const BlockingReader& reader);

  const std::string name_;
  const std::vector<BlockingReader> readers_;
  const uint32_t capacity_;
  std::vector<std::thread> threads_;

  uint32_t in_flight_ = 0;  // of the owner's thread: submitted and not reaped

  std::mutex mutex_;
  std::condition_variable work_arrived_;
  std::condition_variable work_done_;
  std::deque<ReadRequest> queue_;    // guarded by mutex_
  std::deque<ReadCompletion> done_;  // guarded by mutex_
  bool stopping_ = false;            // guarded by mutex_
};

}  // namespace llmrun
