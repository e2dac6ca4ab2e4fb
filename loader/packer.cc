#include "loader/packer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "loader/io/start_thread.h"

namespace llmrun {
namespace {

// About what one thread packs at a time: a large tensor is the work of all.
constexpr uint64_t kTaskBytes = 1ULL << 20;

}  // namespace

Packer::Packer(Spec spec)
    : spec_(std::move(spec)),
      tasks_left_(std::make_unique<std::atomic<uint32_t>[]>(spec_.index.tensors().size())),
      waiting_(spec_.cpus.size()) {}

Result<std::unique_ptr<Packer>> Packer::Start(Spec spec) {
  CHECK(!spec.cpus.empty() && spec.threads > 0);
  std::unique_ptr<Packer> packer(new Packer(std::move(spec)));
  for (size_t arena = 0; arena < packer->spec_.cpus.size(); ++arena) {
    RETURN_IF_ERROR(StartThreads(
        "packing weights", packer->spec_.threads, packer->spec_.cpus[arena],
        [self = packer.get(), arena] { self->Work(arena); }, &packer->threads_));
  }
  return packer;
}

Packer::~Packer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Packer::Complete(TensorId tensor) {
  const IndexedTensor& indexed = spec_.index.at(tensor);
  const uint64_t unit_bytes = spec_.packing.unit_rows * RowBytes(indexed.dtype, indexed.dims[0]);
  const uint64_t task_bytes = std::max<uint64_t>(kTaskBytes / unit_bytes, 1) * unit_bytes;
  std::vector<std::pair<size_t, Task>> tasks;
  for (const Rows& rows : spec_.pieces(tensor)) {
    std::span<std::byte> rest = rows.bytes.first(rows.bytes.size() / unit_bytes * unit_bytes);
    while (!rest.empty()) {
      const size_t n = std::min(task_bytes, rest.size());
      tasks.push_back({rows.arena, {tensor, rest.first(n)}});
      rest = rest.subspan(n);
    }
  }
  CHECK(!tasks.empty());
  tasks_left_[static_cast<uint32_t>(tensor)] = static_cast<uint32_t>(tasks.size());
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [arena, task] : tasks) waiting_[arena].push_back(task);
  }
  changed_.notify_all();
}

void Packer::Count(TensorId tensor) {
  if (tasks_left_[static_cast<uint32_t>(tensor)].fetch_sub(1, std::memory_order_acq_rel) != 1) {
    return;
  }
  spec_.packed(tensor);
  const std::lock_guard lock(mutex_);
  if (++done_ == spec_.tensors) changed_.notify_all();
}

void Packer::Work(size_t arena) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_[arena].empty(); });
    if (stopping_) return;
    const Task task = waiting_[arena].front();
    waiting_[arena].pop_front();
    lock.unlock();
    const double begin_s = spec_.trace != nullptr ? spec_.trace->Now() : 0;
    const Stopwatch watch;
    const IndexedTensor& tensor = spec_.index.at(task.tensor);
    spec_.packing.pack(tensor, task.bytes);
    const double seconds = watch.Seconds();
    if (spec_.trace != nullptr) spec_.trace->Add("packing", tensor.name, begin_s);
    lock.lock();
    seconds_ += seconds;
    lock.unlock();
    Count(task.tensor);
    lock.lock();
  }
}

void Packer::Finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_ == spec_.tensors; });
}

}  // namespace llmrun
