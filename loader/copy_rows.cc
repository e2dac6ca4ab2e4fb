#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/checked.h"
#include "loader/io/read_executor.h"
#include "loader/row_packing.h"
#include "loader/weights_impl.h"

namespace llmrun {
namespace {

constexpr uint32_t kRowReadsInFlight = 64;

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};
using BlockMemory = std::unique_ptr<std::byte, FreeDeleter>;

}  // namespace

Status Weights::Impl::CopyRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const {
  const std::span<const TensorPiece> found = Pieces(id);
  const uint64_t row_bytes = found.front().view.row_bytes();
  const uint64_t all_rows = PartsOf(plan, id).back().row_end;
  for (const int32_t row : rows) CHECK(row >= 0 && static_cast<uint64_t>(row) < all_rows);
  if (!plan.mapped) {
    const GroupId group = index.at(id).group;
    if (!gate->Ready(group) && options.stream == nullptr) return ReadRows(id, rows, out);
    RETURN_IF_ERROR(gate->Wait(group));  // open already, or a stream; tells of a failed load
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<uint64_t>(rows[i]);
    size_t p = 0;
    while (row - found[p].row_begin >= found[p].view.rows()) ++p;
    CopyRow(id, found[p].view, row - found[p].row_begin, out + i * row_bytes);
  }
  return {};
}

void Weights::Impl::CopyRow(TensorId id, const TensorView& view, uint64_t row,
                            std::byte* out) const {
  const uint64_t row_bytes = view.row_bytes();
  const uint64_t unit_rows = IsPacked(id) ? options.packing->unit_rows : 1;
  if (unit_rows == 1 || row >= view.rows() / unit_rows * unit_rows) {
    std::memcpy(out, view.data + row * row_bytes, row_bytes);
    return;
  }
  const uint64_t in_unit = row % unit_rows;
  const std::byte* unit = view.data + (row - in_unit) * row_bytes;
  std::vector<std::byte> rows(unit, unit + unit_rows * row_bytes);
  options.packing->unpack(index.at(id), rows);
  std::memcpy(out, rows.data() + in_unit * row_bytes, row_bytes);
}

// Each row comes with the blocks it lies in, so that direct reads do.
Status Weights::Impl::ReadRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const {
  const double begin_s = options.trace != nullptr ? options.trace->Now() : 0;
  const FileExtent& extent = index.at(id).extent;
  const ModelFile& file = files[extent.file];
  const uint64_t row_bytes = Pieces(id).front().view.row_bytes();
  const uint64_t slot_bytes = AlignUp(row_bytes, kMaxDirectAlignment) + kMaxDirectAlignment;
  const BlockMemory blocks(
      static_cast<std::byte*>(std::aligned_alloc(kMaxDirectAlignment, rows.size() * slot_bytes)));
  if (!blocks) {
    return MakeError(ErrorCode::kResource, "no memory for {} rows of {}", rows.size(), file.label);
  }
  const auto offset_of = [&](size_t i) {
    return extent.offset + static_cast<uint64_t>(rows[i]) * row_bytes;
  };
  std::vector<ReadJob> jobs;
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t begin = AlignDown(offset_of(i), kMaxDirectAlignment);
    const uint64_t bytes = AlignUp(offset_of(i) + row_bytes, kMaxDirectAlignment) - begin;
    jobs.push_back({.id = i,
                    .offset = begin,
                    .bytes = bytes,
                    .must_bytes = std::min(bytes, file.identity.bytes - begin),
                    .destination = blocks.get() + i * slot_bytes});
  }
  const BackendFile descriptors{file.fd.get(), file.direct_fd.get()};
  const LoaderKind kind =
      plan.loader == LoaderKind::kIoUring ? LoaderKind::kIoUring : LoaderKind::kRead;
  ASSIGN_OR_RETURN(const BackendChoice choice,
                   make_backend(kind, std::span(&descriptors, 1),
                                {.threads = Threads(), .queue_depth = kRowReadsInFlight}));
  const ReadFile how{.label = file.label,
                     .direct = choice.direct && file.direct_fd.valid(),
                     .direct_alignment = file.direct_alignment};
  RETURN_IF_ERROR(RunReads(
      *choice.backend, jobs, std::span(&how, 1), {}, [](uint64_t) {}, &cancelled));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out + i * row_bytes, jobs[i].destination + (offset_of(i) - jobs[i].offset),
                row_bytes);
  }
  if (options.trace != nullptr) {
    options.trace->Add("reads", fmt::format("{} rows of {}", rows.size(), index.at(id).name),
                       begin_s);
  }
  return {};
}

Status Weights::CopyRows(TensorId id, std::span<const int32_t> rows, std::byte* out) const {
  return impl_->CopyRows(id, rows, out);
}

}  // namespace llmrun
