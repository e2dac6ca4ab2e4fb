// Reads through one io_uring: a batch goes to the kernel with one system call.
//
// With IoPoll::kIopoll only direct reads go through the ring, which takes no others; those through
// the page cache are made where they are submitted. No read is longer than `most_bytes`: what is
// asked for beyond that is left to another request, as after any short read.
//
// Threads: the ring belongs to the thread that made it (IORING_SETUP_SINGLE_ISSUER).
// Source: io_uring_setup(2), io_uring_enter(2); liburing 2.3.
#pragma once

#include <liburing.h>
#include <span>
#include <string_view>

#include <memory>
#include <vector>

#include "loader/io/read_backend.h"
#include "loader/load_options.h"

namespace llmrun {

class UringBackend final : public ReadBackend {
 public:
  // The errno of io_uring_setup when there is no ring to be had: ENOSYS (old kernel or seccomp),
  // EPERM (seccomp, sysctl kernel.io_uring_disabled), ENOMEM (locked-memory limit), ...
  static tl::expected<std::unique_ptr<ReadBackend>, int> Create(std::span<const BackendFile> files,
                                                                uint32_t queue_depth, IoPoll poll,
                                                                uint64_t most_bytes = kMostBytes);
  ~UringBackend() override;

  std::string_view Name() const override { return "io_uring"; }
  uint32_t Capacity() const override { return capacity_; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override;
  Result<size_t> Reap(std::span<ReadCompletion> completions) override;

 private:
  static constexpr uint64_t kMostBytes = 1ULL << 30;

  UringBackend(std::span<const BackendFile> files, uint32_t queue_depth, IoPoll poll,
               uint64_t most_bytes)
      : files_(files.begin(), files.end()),
        capacity_(queue_depth),
        poll_(poll),
        most_bytes_(most_bytes) {}
  int InitRing();
  void RegisterFiles();
  void Prepare(const ReadRequest& request);
  void ReadNow(const ReadRequest& request);
  Status EnterAndWait();

  const std::vector<BackendFile> files_;
  const uint32_t capacity_;
  const IoPoll poll_;
  const uint64_t most_bytes_;
  io_uring ring_ = {};
  bool ring_made_ = false;
  bool files_registered_ = false;
  uint32_t in_flight_ = 0;            // done_ included
  std::vector<ReadCompletion> done_;  // without the ring
};

}  // namespace llmrun
