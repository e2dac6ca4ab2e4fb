// StartLoad() with the backend made by the caller, so that tests can put one that is slow or faulty
// in place. Internal to the loader and its tests.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "loader/io/create_backend.h"
#include "loader/weights.h"

namespace llmrun {

// As CreateBackend(); called on the loading thread, never for a mapped plan.
using BackendFactory = std::function<Result<BackendChoice>(
    LoaderKind kind, std::span<const BackendFile> files, const BackendOptions& options)>;

Result<std::unique_ptr<Weights>> StartLoadWith(const TensorIndex& index, const Machine& machine,
                                               const LoadOptions& options,
                                               const BackendFactory& make_backend);

}  // namespace llmrun
