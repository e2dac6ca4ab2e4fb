// The end of a load: what its threads left is waited for, sealed, and looked at.
#include <optional>
#include <string_view>

#include "loader/weights_impl.h"
#include "memory/residency.h"

namespace llmrun {

TensorView Weights::Impl::View(TensorId id) const {
  const IndexedTensor& tensor = index.at(id);
  const uint32_t segment = plan.tensors[static_cast<uint32_t>(id)].segment;
  return {.dtype = tensor.dtype,
          .n_dims = tensor.n_dims,
          .dims = tensor.dims,
          .data = tensor.extent.bytes == 0
                      ? nullptr
                      : bases[plan.segments[segment].arena] + ArenaOffset(plan, index, id),
          .bytes = tensor.extent.bytes};
}

Status Weights::Impl::CheckIntact() const {
  for (uint32_t file = 0; file < mappings.size(); ++file) {
    const std::optional<uint64_t> missing = mappings[file].FirstMissing();
    if (!missing) continue;
    std::string_view name = "(none)";
    for (const IndexedTensor& tensor : index.tensors()) {
      const FileExtent& extent = tensor.extent;
      if (extent.file == file && extent.offset + extent.bytes > *missing) {
        name = tensor.name;
        break;
      }
    }
    return MakeFixableError(ErrorCode::kBadData,
                            "restore the file; a loader other than mmap keeps weights of its own",
                            "{}: the file became shorter while it was in use: tensor '{}' is gone "
                            "from byte {} on",
                            files[file].label, name, *missing);
  }
  return {};
}

Status Weights::Impl::SealAndLock() {
  for (Arena& arena : arenas) {
    RETURN_IF_ERROR(arena.Seal());
    if (options.mlock) RETURN_IF_ERROR(arena.Lock());
  }
  for (const MappedFile& mapping : mappings) {
    if (options.mlock) RETURN_IF_ERROR(mapping.Lock());
  }
  return {};
}

Status Weights::Impl::GatherEvidence() {
  for (const Arena& arena : arenas) {
    ASSIGN_OR_RETURN(const Residency residency, InspectRange({arena.data(), arena.size_bytes()}));
    report.residency += residency;
  }
  for (const MappedFile& mapping : mappings) {
    ASSIGN_OR_RETURN(const Residency residency, InspectRange(mapping.bytes()));
    report.residency += residency;
  }
  return {};
}

Result<LoadReport> Weights::Impl::Finish() {
  loading_thread.join();
  if (load_error) return tl::unexpected<Error>(*load_error);
  for (const ModelFile& file : files) {
    if (!file.fd.valid()) continue;  // a stream
    Status unchanged = CheckUnchanged(file);
    if (!unchanged) {
      gate->Fail(unchanged.error());
      return tl::unexpected<Error>(std::move(unchanged).error());
    }
  }
  if (verifier) {
    const Stopwatch waiting;
    RETURN_IF_ERROR(verifier->Finish());
    RETURN_IF_ERROR(CheckIntact());
    report.hash_seconds = waiting.Seconds();
    report.hashed = options.hash;
    if (options.hash) report.xxh3 = verifier->xxh3();
    verifier.reset();
  }
  RETURN_IF_ERROR(SealAndLock());
  RETURN_IF_ERROR(GatherEvidence());
  return report;
}

}  // namespace llmrun
