// XXH3 of tensors and of whole models, as loader/weights.h declares them.
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "loader/weights.h"
#include "sched/thread_pool.h"

namespace llmrun {

// The hash of the hashes is taken over their bytes in memory.
static_assert(std::endian::native == std::endian::little);

uint64_t HashTensor(const TensorView& view) { return XXH3_64bits(view.data, view.bytes); }

uint64_t HashTensor(std::span<const TensorPiece> pieces) {
  if (pieces.size() == 1 || AreCopies(pieces)) return HashTensor(pieces.front().view);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       XXH3_freeState);
  CHECK(state != nullptr);
  XXH3_64bits_reset(state.get());
  for (const TensorPiece& piece : pieces) {
    XXH3_64bits_update(state.get(), piece.view.data, piece.view.bytes);
  }
  return XXH3_64bits_digest(state.get());
}

uint64_t HashAll(const Weights& weights, int threads) {
  const size_t count = weights.index().tensors().size();
  const std::vector<IndexedTensor>& tensors = weights.index().tensors();

  // Largest first, so that no thread begins a large one when the others are done.
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return tensors[a].extent.bytes > tensors[b].extent.bytes;
  });

  std::vector<uint64_t> hashes(count);
  std::atomic<size_t> next{0};
  const auto work = [&](int /*member*/) {
    for (size_t i = next++; i < count; i = next++) {
      const UnpackedTensor tensor = weights.Unpacked(static_cast<TensorId>(order[i]));
      hashes[order[i]] = HashTensor(tensor.pieces);
    }
  };
  const auto pool = ThreadPool::Create({.threads = std::max(threads, 1), .cpus = {}, .spin_ns = 0});
  if (pool) {
    (*pool)->Run(work);
  } else {
    work(0);  // no threads to be had: the same result, later
  }
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

}  // namespace llmrun
