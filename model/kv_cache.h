// Keys and values of all positions so far: [layer][keys, values][kv_head], each as KvRows
// (compute/kernels.h), so that one head reads its positions as one stream. On several NUMA nodes
// the heads are dealt out, and each node has such an array of its own heads.
//
// Owner: the cache owns its memory (memory/arena.h, transparent huge pages asked for).
// Threads: Thread-compatible; distinct elements may be written by distinct threads.
// Failure: Create() gives kResource with the size and the fix when memory is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"
#include "memory/arena.h"
#include "memory/dtype.h"
#include "memory/node_set.h"
#include "model/model_config.h"
#include "sched/partition.h"

namespace llmrun {

struct KvTypes {
  DType keys = DType::kF16;
  DType values = DType::kF16;
};

class KvCache {
 public:
  // `homes`: where the memory is to lie; heads are dealt out to several in equal runs.
  // Requires: IsKvType() of both, heads of whole blocks of theirs, 1 <= n_ctx <= kMaxContext, 1 <=
  // homes.size() <= n_kv_heads.
  static Result<KvCache> Create(const ModelConfig& config, int64_t n_ctx, KvTypes types,
                                std::span<const NodeSet> homes);

  // Of position 0.
  std::byte* Keys(int64_t layer, int64_t kv_head) const {
    const HeadPlace& place = places_[static_cast<size_t>(kv_head)];
    return LayerOf(place, layer) + static_cast<uint64_t>(place.index) * keys_bytes_;
  }
  std::byte* Values(int64_t layer, int64_t kv_head) const {
    const HeadPlace& place = places_[static_cast<size_t>(kv_head)];
    return LayerOf(place, layer) + static_cast<uint64_t>(place.heads) * keys_bytes_ +
           static_cast<uint64_t>(place.index) * values_bytes_;
  }
  // Which heads' keys and values lie on which node, in the order of the heads; all of them on no
  // node in particular when they are not dealt out.
  struct HeadsOfNode {
    Range heads;
    std::optional<unsigned> node;
  };
  std::vector<HeadsOfNode> HeadsByNode() const;

  KvTypes types() const { return types_; }
  uint64_t size_bytes() const;

 private:
  struct Home {
    NodeSet nodes;
    Range heads;
    Arena arena;
  };
  struct HeadPlace {
    std::byte* base = nullptr;  // of its home
    int64_t heads = 0;          // that share it
    int64_t index = 0;          // among them
  };
  KvCache(KvTypes types, int64_t n_ctx, const ModelConfig& config);

  std::byte* LayerOf(const HeadPlace& place, int64_t layer) const {
    return place.base + static_cast<uint64_t>(layer * place.heads) * (keys_bytes_ + values_bytes_);
  }

  std::vector<Home> homes_;
  std::vector<HeadPlace> places_;  // [n_kv_heads]
  KvTypes types_;
  uint64_t keys_bytes_;  // of one head in one layer
  uint64_t values_bytes_;
};

}  // namespace llmrun
