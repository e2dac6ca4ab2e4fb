// Packs tensors that have arrived, beside the reads that go on: each piece by threads that run on
// the node it lies on.
//
// Threads: Complete() is Thread-safe; the rest belongs to one thread. Owner: borrows what the spec
// says; pieces must stay where they are until Finish() or destruction.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/trace.h"
#include "loader/index/tensor_index.h"
#include "loader/row_packing.h"

namespace llmrun {

class Packer {
 public:
  struct Rows {
    size_t arena = 0;
    std::span<std::byte> bytes;  // whole rows, from the first of a piece on
  };
  struct Spec {
    const RowPacking& packing;
    const TensorIndex& index;
    size_t tensors = 0;                                 // that will come
    std::function<std::vector<Rows>(TensorId)> pieces;  // of a tensor, in all arenas
    std::vector<std::vector<unsigned>> cpus;            // [arenas] those of its node
    int threads = 1;                                    // for each arena
    std::function<void(TensorId)> packed;               // Thread-safe
    TraceLog* trace = nullptr;
  };
  static Result<std::unique_ptr<Packer>> Start(Spec spec);
  ~Packer();  // leaves what is waiting undone

  // All bytes of a tensor that is to be packed are there, and nobody else reads or writes them.
  void Complete(TensorId tensor);
  // Waits until all tensors are packed.
  void Finish();

  double seconds() const { return seconds_; }  // of work, summed over threads; after Finish()

 private:
  // Some units of one piece.
  struct Task {
    TensorId tensor{};
    std::span<std::byte> bytes;
  };

  explicit Packer(Spec spec);
  void Work(size_t arena);
  void Count(TensorId tensor);  // one task of it is done

  const Spec spec_;
  const std::unique_ptr<std::atomic<uint32_t>[]> tasks_left_;  // [tensors of the index]
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::deque<Task>> waiting_;  // [arenas]; guarded by mutex_
  size_t done_ = 0;                        // tensors; guarded by mutex_
  double seconds_ = 0;                     // guarded by mutex_
  bool stopping_ = false;                  // guarded by mutex_
};

}  // namespace llmrun
