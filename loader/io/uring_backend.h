// Reads through one io_uring: a batch goes to the kernel with one system call.
//
// Threads: the ring belongs to the thread that made it (IORING_SETUP_SINGLE_ISSUER).
// Source: io_uring_setup(2), io_uring_enter(2); liburing 2.3.
#pragma once

#include <liburing.h>

#include <memory>
#include <vector>

#include "loader/io/read_backend.h"

namespace llmrun {

class UringBackend final : public ReadBackend {
 public:
  // The errno of io_uring_setup when there is no ring to be had: ENOSYS (old kernel or seccomp),
  // EPERM (seccomp, sysctl kernel.io_uring_disabled), ENOMEM (locked-memory limit), ...
  static tl::expected<std::unique_ptr<ReadBackend>, int> Create(std::span<const BackendFile> files,
                                                                uint32_t queue_depth);
  ~UringBackend() override;

  std::string_view Name() const override { return "io_uring"; }
  uint32_t Capacity() const override { return capacity_; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override;
  Result<size_t> Reap(std::span<ReadCompletion> completions) override;

 private:
  UringBackend(std::span<const BackendFile> files, uint32_t queue_depth)
      : files_(files.begin(), files.end()), capacity_(queue_depth) {}
  int InitRing();
  void RegisterFiles();
  void Prepare(const ReadRequest& request);
  Status EnterAndWait();

  const std::vector<BackendFile> files_;
  const uint32_t capacity_;
  io_uring ring_ = {};
  bool ring_made_ = false;
  bool files_registered_ = false;
  uint32_t in_flight_ = 0;
};

}  // namespace llmrun
