// A ReadBackend over files in memory that misbehaves as kernels and devices do, by a seeded
// schedule: short reads of any length, EINTR, EAGAIN, EIO, EINVAL for O_DIRECT, completions late
// and in another order, a queue that takes fewer requests than offered.
//
// Fault model: bytes appear when a request completes; while it is in flight its whole destination
// may hold anything (it is scribbled on when submitted). What is never simulated: wrong bytes that
// are reported as read.
//
// Threads: Single-thread, as every ReadBackend.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "loader/io/read_backend.h"

namespace llmrun {

struct FaultOptions {
  uint64_t seed = 1;
  uint32_t capacity = 8;
  uint64_t direct_alignment = 512;
  bool refuse_direct = false;  // every direct read is EINVAL
  // Out of 1000 completions, how many are ...
  uint32_t short_permille = 0;  // 1 .. all but one of the bytes
  uint32_t again_permille = 0;  // EINTR or EAGAIN
  uint32_t error_permille = 0;  // EIO
};

class FaultBackend final : public ReadBackend {
 public:
  FaultBackend(std::vector<std::vector<std::byte>> files, const FaultOptions& options)
      : files_(std::move(files)), options_(options), random_(static_cast<uint32_t>(options.seed)) {}

  std::string_view Name() const override { return "fault"; }
  uint32_t Capacity() const override { return options_.capacity; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override;
  Result<size_t> Reap(std::span<ReadCompletion> completions) override;

  size_t in_flight() const { return pending_.size(); }
  // Direct requests whose offset, length or destination was not aligned: a defect of the caller.
  uint32_t misaligned() const { return misaligned_; }
  uint32_t errors_given() const { return errors_given_; }  // EIO completions

 private:
  int64_t Carry(const ReadRequest& request);
  uint32_t Draw(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

  std::vector<std::vector<std::byte>> files_;
  const FaultOptions options_;
  std::minstd_rand random_;  // made anew for every schedule: one word of state
  std::vector<ReadRequest> pending_;
  uint32_t misaligned_ = 0;
  uint32_t errors_given_ = 0;
};

}  // namespace llmrun
