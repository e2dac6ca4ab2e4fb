// Using weights that an earlier process left resident: the store is checked and mapped, nothing is
// read, hashed or touched, so that it takes as long for a large model as for a small one.
//
// Threads: Thread-compatible. Owner: the memory unmaps itself; the store stays.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/index/tensor_index.h"
#include "loader/load_options.h"
#include "loader/resident/manifest.h"
#include "loader/weights_memory.h"

namespace llmrun {

// The model's weights from the store in options.resident_dir; nullopt when there is none.
// Failure: kUnavailable when there is a store that must not or cannot be used, with the reason;
// also as CompareWishes().
Result<std::optional<GivenMemory>> AttachStore(const TensorIndex& index,
                                               const LoadOptions& options);

// Wishes for pages or nodes that a store does not meet, each with the command that makes one that
// does. Failure: kUnavailable when HugePagesPolicy::kRequire asks for other pages than the store's.
Result<std::vector<Fallback>> CompareWishes(const ResidentManifest& manifest,
                                            const LoadOptions& options);

// "llm-run resident load -m PATH", with --dir where it is not the usual one.
std::string LoadCommand(const std::string& model_path, const LoadOptions& options);

}  // namespace llmrun
