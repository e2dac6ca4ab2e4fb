// The weights of a model: owns the arenas or mappings, gives views of tensors, and tells when each
// group (see GroupId in loader/index/tensor_index.h) has arrived.
//
//   ASSIGN_OR_RETURN(auto weights, StartLoad(index, machine, options));  // returns at once
//   RETURN_IF_ERROR(weights->WaitGroup(0));        // what comes before the layers is there
//   RETURN_IF_ERROR(weights->WaitGroup(1));        // layer 0; the rest is still being read
//   ASSIGN_OR_RETURN(LoadReport report, weights->Finish());
//
// Addresses are final when StartLoad returns; bytes of a group may be read once its wait returned
// Ok. Threads: Pieces(), View(), GroupReady(), WaitGroup() and CopyRows() are Thread-safe; Finish()
// is for one thread. Owner: `index` must outlive the Weights; views must not outlive it.
// Destruction cancels and drains. Failure: a load that fails opens every latch, and each wait from
// then on returns the error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "loader/load_report.h"
#include "loader/plan/placement_plan.h"
#include "memory/machine.h"
#include "memory/tensor_view.h"

namespace llmrun {

// A tensor as it is in its file, whether it was packed or not.
struct UnpackedTensor {
  std::vector<TensorPiece> pieces;
  std::unique_ptr<std::byte[]> copy = {};  // what they look at, if it is not the weights themselves
};

class Weights {
 public:
  ~Weights();
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // Where a tensor's rows lie, ascending. One piece has all of them, but for sharded matrices,
  // whose rows are dealt out to the nodes; mirrored tensors have a piece with all rows on each
  // node. A tensor of a sharded model that is not cut has no node of its own.
  std::span<const TensorPiece> Pieces(TensorId id) const;
  // The tensor in one piece (of a mirrored one, the first). Requires: it is not sharded.
  TensorView View(TensorId id) const;
  // Whether its rows were rearranged (LoadOptions::packing), each piece by itself. Then they are
  // not those of the file: Unpacked() gives these, in a copy of the whole tensor. Thread-safe, once
  // the tensor has arrived.
  bool packed(TensorId id) const;
  UnpackedTensor Unpacked(TensorId id) const;
  const TensorIndex& index() const;
  const PlacementPlan& plan() const;

  bool GroupReady(GroupId group) const;
  Status WaitGroup(GroupId group) const;
  // Copies rows of a matrix, as they are in its file, to `out`, [rows.size()][row_bytes], whether
  // it has arrived or not: what is not there yet is read from its file, past the reads of the load
  // (and waited for, when it comes from a stream). For a few rows out of many (embeddings of a
  // prompt). Requires: rows of the matrix. Failure: that of the load, or as its reads. Thread-safe.
  Status CopyRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const;
  // Weights in memory of their own stay what they are. Mapped ones are part of their file:
  // kBadData, naming the tensor, when a page of it was found missing (the file was truncated). To
  // be asked after computing with them; such bytes read as zeros. Thread-safe.
  Status CheckIntact() const;
  // Asks the load to stop where it is; it then fails with "cancelled". Thread-safe.
  void Cancel();
  // Waits for everything, seals the arenas, gathers the evidence. The second call returns the same.
  // Fails with kBadData when a file changed while it was loaded.
  Result<LoadReport> Finish();

  struct Impl;
  explicit Weights(std::unique_ptr<Impl> impl);  // for StartLoad()

 private:
  std::unique_ptr<Impl> impl_;
};

// Plans, reserves, and begins reading on a thread of its own; or attaches to weights left resident,
// then nothing is read. Failure: as PlanPlacement and Arena::Reserve; kUnavailable when what was
// required is not to be had.
Result<std::unique_ptr<Weights>> StartLoad(const TensorIndex& index, const Machine& machine,
                                           const LoadOptions& options);

// XXH3-64 of one tensor's bytes, and over all tensors of a model (the hash of their hashes, little
// endian, in index order). Source: xxHash, XXH3 family.
uint64_t HashTensor(const TensorView& view);
uint64_t HashTensor(std::span<const TensorPiece> pieces);
uint64_t HashAll(const Weights& weights, int threads);

}  // namespace llmrun
