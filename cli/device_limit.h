// The rate of reading of the device that a model lies on, as `llm-run bench-load` measured it last,
// so that reports of loads can be held against it.
//
// Kept by block device, with what tells it from another one that is given its number later. Files
// on file systems without a block device (overlayfs, NFS, tmpfs) have none.
// Threads: Single-thread.
#pragma once

#include <string>

#include "base/error.h"
#include "loader/index/tensor_index.h"

namespace llmrun {

std::string DeviceLimitFile();  // CacheFile("devices.json")

// Bytes per second; 0: not known. Of a model in several parts: where the first one lies.
double KnownDeviceLimit(const TensorIndex& index, const std::string& cache_file);
// Replaces what was known. Nothing is saved for a file without a block device.
Status SaveDeviceLimit(const TensorIndex& index, double bytes_per_second,
                       const std::string& cache_file);

}  // namespace llmrun
