// StartLoad(): resident weights where they are asked for or found, else a load.
#include "loader/load_options.h"
#include "loader/resident/attach.h"
#include "loader/weights.h"
#include "loader/weights_memory.h"

namespace llmrun {

Result<std::unique_ptr<Weights>> StartLoad(const TensorIndex& index, const Machine& machine,
                                           const LoadOptions& options) {
  const bool required = options.loader == LoaderKind::kResident;
  if (options.stream != nullptr) {
    if (!required) return StartLoadInto(index, machine, options, {});
    return MakeFixableError(ErrorCode::kUsage, "name the model's file with -m",
                            "--loader=resident: a stream has no resident weights");
  }
  if (required && options.resident_dir.empty()) {
    return MakeError(ErrorCode::kUsage, "--loader=resident: no folder to look into");
  }
  if (!required && (options.loader != LoaderKind::kAuto || options.resident_dir.empty())) {
    return StartLoadInto(index, machine, options, {});
  }
  Result<std::optional<GivenMemory>> attached = AttachStore(index, options);
  if (attached && *attached) return StartLoadInto(index, machine, options, **std::move(attached));
  if (required && !attached) return tl::unexpected<Error>(std::move(attached).error());
  if (required) {
    const std::string& path = index.files().front().label;
    return MakeFixableError(ErrorCode::kUnavailable, LoadCommand(path, options),
                            "{}: no weights were left resident in {}", path, options.resident_dir);
  }
  GivenMemory none;
  if (!attached) {
    Error& error = attached.error();
    none.fallbacks.push_back({"the weights left resident", "a load of their own",
                              std::move(error.message), std::move(error.fix)});
  }
  return StartLoadInto(index, machine, options, std::move(none));
}

}  // namespace llmrun
