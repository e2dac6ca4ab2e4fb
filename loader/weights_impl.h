// The state of a load, between its threads; what weights.cc begins, finish_load.cc ends. Internal
// to the loader.
//
// Threads: see the members. Owner: of everything a load makes.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/stopwatch.h"
#include "loader/fill.h"
#include "loader/group_gate.h"
#include "loader/io/mapped_file.h"
#include "loader/io/model_file.h"
#include "loader/mirror_copies.h"
#include "loader/packer.h"
#include "loader/progress_meter.h"
#include "loader/tensor_arrivals.h"
#include "loader/verifier.h"
#include "loader/weights.h"
#include "loader/weights_internal.h"
#include "loader/weights_memory.h"
#include "memory/arena.h"

namespace llmrun {

// Members stand in the order of their making; the loading thread is the only writer of `report`
// from Start() until it is joined.
struct Weights::Impl {
  Impl(const TensorIndex& model, const Machine& on_machine, const LoadOptions& with_options,
       BackendFactory factory)
      : index(model),
        machine(on_machine),
        options(with_options),
        make_backend(std::move(factory)),
        start_faults(ProcessFaults()) {}
  ~Impl();

  Status Prepare();
  Status OpenFiles();
  uint64_t BytesToLock() const;
  Status ReserveMemory();
  Status Start();
  void Load();
  Result<FillResult> Fill();
  Result<LoadReport> Finish();
  void Landed(size_t read);
  void Arrived(size_t read);
  Status StartVerifier();
  Status StartCopies();
  void ChoosePacked();
  std::vector<uint32_t> StepsOfGroups() const;
  Status StartPacker();
  std::vector<Packer::Rows> RowsToPack(TensorId id);
  void Looked(TensorId id);
  void Packed(TensorId id);
  bool IsPacked(TensorId id) const { return packed[static_cast<uint32_t>(id)]; }
  std::vector<std::vector<unsigned>> CpusOfArenas() const;
  void FindPieces();
  std::span<const TensorPiece> Pieces(TensorId id) const;
  UnpackedTensor AsInFile(TensorId id) const;  // as it lies there now, packed or not yet
  UnpackedTensor Unpacked(TensorId id) const;
  TensorView View(TensorId id) const;
  Status CopyRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const;
  void CopyRow(TensorId id, const TensorView& view, uint64_t row, std::byte* out) const;
  Status ReadRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const;
  Status CheckIntact() const;
  Status FinishPages();
  Status SealAndLock();
  Status GatherEvidence();
  void CheckPlacement(const NodeSet& nodes, const Residency& found);
  int Threads() const;

  const TensorIndex& index;
  const Machine machine;
  const LoadOptions options;
  const BackendFactory make_backend;
  const Stopwatch since_start;
  const FaultCounts start_faults;
  double start_cpu_seconds = 0;  // set by Prepare()
  std::optional<double> start_stolen_seconds;
  GivenMemory given;  // set before Prepare()

  std::vector<ModelFile> files;
  PlacementPlan plan;
  ReadPlan reads;
  std::vector<Arena> arenas;            // as plan.arenas; none when mapped
  std::vector<MappedFile> mappings;     // as files; none when not mapped
  std::vector<const std::byte*> bases;  // of the arenas or mappings
  std::vector<TensorPiece> pieces;      // of all tensors; as plan.parts, mirrored: one a node each
  std::vector<bool> packed;             // [tensors] are so in the end, or were when we attached
  std::optional<GroupGate> gate;
  std::optional<ProgressMeter> progress;
  std::optional<TensorArrivals> arrivals;

  LoadReport report;
  std::atomic<bool> cancelled{false};
  std::optional<Error> load_error;  // written by the loading thread, read after its end
  std::unique_ptr<Packer> packer;   // not for memory that was filled already
  std::unique_ptr<Verifier> verifier;
  std::unique_ptr<MirrorCopies> copies;  // of mirrored weights
  std::thread loading_thread;
  std::optional<Result<LoadReport>> finished;
};

}  // namespace llmrun
