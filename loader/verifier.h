// Looks at tensors while they are hot: as soon as the last byte of one has landed, a thread hashes
// it (XXH3-64) and shows it to the caller's check, beside the reads that go on.
//
// Threads: Complete() is Thread-safe; the rest belongs to one thread. The check runs on several
// threads at once, at low priority. Owner: views must stay valid until Finish() or destruction.
// Failure: the first error of a check; it does not stop the load.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "loader/weights.h"
#include "memory/tensor_view.h"

namespace llmrun {

class Verifier {
 public:
  struct Spec {
    size_t tensors = 0;
    bool hash = false;
    TensorVisitor check = {};  // may be empty
    int threads = 1;
    std::vector<unsigned> cpus = {};
    std::function<UnpackedTensor(TensorId)> tensor;
    std::function<void(TensorId)> looked = {};  // nobody looks at it any more; may be empty
  };
  static Result<std::unique_ptr<Verifier>> Start(Spec spec);
  ~Verifier();  // leaves what is waiting undone

  void Complete(TensorId tensor);
  // Waits until all tensors were looked at. Requires: Complete() was called for each.
  Status Finish();

  uint64_t xxh3() const;                       // as HashAll(); after Finish()
  double seconds() const { return seconds_; }  // of work, summed over threads

 private:
  explicit Verifier(Spec spec);
  void Work();
  Status Look(TensorId tensor);

  const Spec spec_;
  std::vector<uint64_t> hashes_;  // [tensors]
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<TensorId> waiting_;  // guarded by mutex_
  size_t done_ = 0;               // guarded by mutex_
  double seconds_ = 0;            // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::optional<Error> error_;    // guarded by mutex_
};

}  // namespace llmrun
