// A number that tells models apart: of the names, types, shapes and places of all tensors, and of
// a row of each matrix. For files that belong to one model only (model/session_file.h); no proof
// that all bytes are equal, which would have to wait for the whole load.
// Threads: Thread-safe. Failure: as Weights::CopyRows.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "loader/weights.h"

namespace llmrun {

Result<uint64_t> ModelIdentity(const Weights& weights);

}  // namespace llmrun
