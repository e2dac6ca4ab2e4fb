#include "loader/verifier.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "base/stopwatch.h"
#include "loader/io/start_thread.h"
#include "loader/weights.h"

namespace llmrun {

Verifier::Verifier(Spec spec) : spec_(std::move(spec)), hashes_(spec_.tensors) {}

Result<std::unique_ptr<Verifier>> Verifier::Start(Spec spec) {
  std::unique_ptr<Verifier> verifier(new Verifier(std::move(spec)));
  RETURN_IF_ERROR(StartThreads(
      "verifying", std::max(verifier->spec_.threads, 1), verifier->spec_.cpus,
      [self = verifier.get()] { self->Work(); }, &verifier->threads_));
  return verifier;
}

Verifier::~Verifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Verifier::Complete(TensorId tensor) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(tensor);
  }
  changed_.notify_all();
}

Status Verifier::Look(TensorId tensor) {
  const UnpackedTensor unpacked = spec_.tensor(tensor);
  if (spec_.hash) hashes_[static_cast<uint32_t>(tensor)] = HashTensor(unpacked.pieces);
  return spec_.check ? spec_.check(tensor, unpacked.pieces) : Status();
}

void Verifier::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const TensorId tensor = waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    const Stopwatch watch;
    const Status looked = Look(tensor);
    const double seconds = watch.Seconds();
    if (spec_.looked) spec_.looked(tensor);
    lock.lock();
    if (!looked && !error_) error_ = looked.error();
    seconds_ += seconds;
    if (++done_ == spec_.tensors) changed_.notify_all();
  }
}

Status Verifier::Finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_ == spec_.tensors; });
  if (error_) return tl::unexpected<Error>(*error_);
  return {};
}

uint64_t Verifier::xxh3() const {
  return XXH3_64bits(hashes_.data(), hashes_.size() * sizeof(uint64_t));
}

}  // namespace llmrun
