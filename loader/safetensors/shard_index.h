// The index of a checkpoint in several safetensors files: "x.safetensors.index.json" says which
// tensor lies in which of its "x-00001-of-00003.safetensors".
//   {"metadata": {...}, "weight_map": {"model.norm.weight": "x-00003-of-00003.safetensors", ...}}
//
// Threads: pure functions. Failure: kBadData.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/gguf/gguf.h"

namespace llmrun {

inline constexpr uint64_t kMaxShardIndexBytes = 100'000'000;
inline constexpr size_t kMaxShards = 10'000;

struct ShardIndex {
  struct Place {
    std::string tensor;
    uint32_t shard = 0;
  };
  std::string label;                // the path
  std::vector<std::string> shards;  // names of files beside it, each once, sorted
  std::vector<Place> places;        // each tensor once
};

bool IsShardIndexPath(std::string_view path);
// Where the index of a shard is looked for; nullopt when the path is not named as a shard.
std::optional<std::string> ShardIndexPathOf(std::string_view path);

Result<ShardIndex> ParseShardIndex(std::string_view json, const std::string& label);

// Every tensor lies where the index says, and no shard has others.
// Requires: `files` are those of index.shards, in that order.
Status CheckShards(const ShardIndex& index, const std::vector<GgufFile>& files);

}  // namespace llmrun
