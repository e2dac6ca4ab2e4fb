// Using weights that an earlier process left resident: the store is checked and mapped, nothing is
// read, hashed or touched, so that it takes as long for a large model as for a small one.
//
// Threads: Thread-compatible. Owner: the memory unmaps itself; the store stays.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "loader/weights_memory.h"

namespace llmrun {

// The model's weights from the store in options.resident_dir; nullopt when there is none. Wishes
// for pages or a node that the store does not meet are fallbacks.
// Failure: kUnavailable when there is a store that must not or cannot be used, with the reason;
// also when HugePagesPolicy::kRequire asks for other pages than the store's.
Result<std::optional<GivenMemory>> AttachStore(const TensorIndex& index,
                                               const LoadOptions& options);

// "llm-run resident load -m PATH", with --dir where it is not the usual one.
std::string LoadCommand(const std::string& model_path, const LoadOptions& options);

}  // namespace llmrun
