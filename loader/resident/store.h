// The stores of a folder: finding them, saying whether they are still what the model files are, and
// taking them away. How one is made is in load_into_store.h, how it is used in attach.h.
//
// Threads: Thread-compatible; several processes may work on one folder.
// Failure: as StoreDir; a store that cannot be attached is no failure but has a reason.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "loader/index/tensor_index.h"
#include "loader/resident/manifest.h"
#include "loader/resident/store_dir.h"

namespace llmrun {

struct ResidentStore {
  std::string manifest_path;
  ResidentManifest manifest;  // without parts when it could not be read
  std::string stale;          // why it cannot be attached; empty: it can
};

// The model's files as they are now.
Result<std::vector<ResidentPart>> DescribeParts(const TensorIndex& index);

// What was loaded is what the files are now; kUnavailable with what changed, was and is.
Status CheckParts(const ResidentManifest& manifest);
// One image, open for reading, when it is what the manifest says; kUnavailable otherwise.
Result<UniqueFd> OpenData(const ResidentData& data);

// nullopt when there is none for this model (the path of its first part).
Result<std::optional<ResidentStore>> FindStore(const StoreDir& dir, const std::string& model_path);
// All of them, by model path. Leftovers of processes that died are removed first.
Result<std::vector<ResidentStore>> ListStores(const StoreDir& dir);
// Takes away the store of this model, or all of them, and returns what was there. Processes that
// are attached keep their memory until they end.
Result<std::vector<ResidentStore>> DropStores(const StoreDir& dir,
                                              const std::optional<std::string>& model_path);

// Removes data that no manifest names. Requires: the folder's lock is held.
void SweepLeftovers(const StoreDir& dir);
inline constexpr char kDataSuffix[] = ".weights";

}  // namespace llmrun
