// Which tensors of a load are packed, when, and how they become again what they were.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "loader/weights_impl.h"

namespace llmrun {
namespace {

// As many threads read, too; they wait for the device most of the time.
constexpr int kMostThreads = 8;

}  // namespace

void Weights::Impl::ChoosePacked() {
  packed.assign(index.tensors().size(), false);
  const bool packs = given.filled ? given.packed : options.pack && !plan.mapped;
  if (!packs) return;
  CHECK(options.packing != nullptr);
  for (size_t i = 0; i < packed.size(); ++i) {
    const auto id = static_cast<TensorId>(i);
    const IndexedTensor& tensor = index.at(id);
    const uint64_t rows = tensor.dims[1] * tensor.dims[2] * tensor.dims[3];
    packed[i] = tensor.extent.bytes > 0 && rows >= options.packing->unit_rows &&
                options.packing->wants(index, id);
    if (packed[i]) report.packed_bytes += tensor.extent.bytes;
  }
}

// What a group waits for: its reads, and the packing of its tensors.
std::vector<uint32_t> Weights::Impl::StepsOfGroups() const {
  std::vector<uint32_t> steps = reads.group_reads;
  if (given.filled) return steps;
  for (size_t i = 0; i < packed.size(); ++i) {
    if (packed[i]) ++steps[index.at(static_cast<TensorId>(i)).group];
  }
  return steps;
}

Status Weights::Impl::StartPacker() {
  const auto tensors = static_cast<size_t>(std::ranges::count(packed, true));
  if (given.filled || tensors == 0) return {};
  const auto arenas_count = static_cast<int>(arenas.size());
  ASSIGN_OR_RETURN(
      packer,
      Packer::Start({.packing = *options.packing,
                     .index = index,
                     .tensors = tensors,
                     .pieces = [this](TensorId id) { return RowsToPack(id); },
                     .cpus = CpusOfArenas(),
                     .threads = std::clamp(machine.effective_cpus / arenas_count, 1, kMostThreads),
                     .packed = [this](TensorId id) { Packed(id); },
                     .trace = options.trace}));
  return {};
}

std::vector<Packer::Rows> Weights::Impl::RowsToPack(TensorId id) {
  std::vector<Packer::Rows> rows;
  for (const TensorPiece& piece : Pieces(id)) {
    for (size_t i = 0; i < arenas.size(); ++i) {
      const std::byte* begin = arenas[i].data();
      if (piece.view.data < begin || piece.view.data >= begin + arenas[i].size_bytes()) continue;
      const uint64_t bytes = piece.view.rows() * piece.view.row_bytes();
      rows.push_back({i, {arenas[i].data() + (piece.view.data - begin), bytes}});
    }
  }
  return rows;
}

// Of a tensor that has arrived, nobody looks at the bytes of the file any more.
void Weights::Impl::Looked(TensorId id) {
  if (packer && IsPacked(id)) packer->Complete(id);
}

void Weights::Impl::Packed(TensorId id) { gate->Done({&index.at(id).group, 1}); }

UnpackedTensor Weights::Impl::AsInFile(TensorId id) const {
  if (given.filled) return Unpacked(id);
  const std::span<const TensorPiece> found = Pieces(id);
  return {.pieces = {found.begin(), found.end()}};
}

UnpackedTensor Weights::Impl::Unpacked(TensorId id) const {
  std::span<const TensorPiece> found = Pieces(id);
  if (!IsPacked(id)) return {.pieces = {found.begin(), found.end()}};
  if (AreCopies(found)) found = found.first(1);
  const IndexedTensor& tensor = index.at(id);
  UnpackedTensor unpacked{.pieces = {found.begin(), found.end()},
                          .copy = std::make_unique<std::byte[]>(tensor.extent.bytes)};
  std::byte* to = unpacked.copy.get();
  for (TensorPiece& piece : unpacked.pieces) {
    TensorView& view = piece.view;
    std::memcpy(to, view.data, view.bytes);
    const uint64_t unit_rows = options.packing->unit_rows;
    options.packing->unpack(tensor, {to, view.rows() / unit_rows * unit_rows * view.row_bytes()});
    view.data = std::exchange(to, to + view.bytes);
  }
  return unpacked;
}

}  // namespace llmrun
