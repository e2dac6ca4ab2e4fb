// Keys and values of all positions so far: [layer][keys, values][kv_head][position][head_dim], so
// that one head reads its positions as one stream. On several NUMA nodes the heads are dealt out,
// and each node has such an array of its own heads.
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
#include "memory/arena.h"
#include "memory/dtype.h"
#include "memory/node_set.h"
#include "model/model_config.h"
#include "sched/partition.h"

namespace llmrun {

class KvCache {
 public:
  // `homes`: where the memory is to lie; heads are dealt out to several in equal runs.
  // Requires: type is kF16 or kF32, 1 <= n_ctx <= kMaxContext, 1 <= homes.size() <= n_kv_heads.
  static Result<KvCache> Create(const ModelConfig& config, int64_t n_ctx, DType type,
                                std::span<const NodeSet> homes);

  std::byte* Keys(int64_t layer, int64_t kv_head, int64_t position) const {
    return At(2 * layer, kv_head, position);
  }
  std::byte* Values(int64_t layer, int64_t kv_head, int64_t position) const {
    return At(2 * layer + 1, kv_head, position);
  }
  // Which heads' keys and values lie on which node, in the order of the heads; all of them on no
  // node in particular when they are not dealt out.
  struct HeadsOfNode {
    Range heads;
    std::optional<unsigned> node;
  };
  std::vector<HeadsOfNode> HeadsByNode() const;

  DType type() const { return type_; }
  uint64_t stride_bytes() const { return stride_bytes_; }  // from one position to the next
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
  KvCache(DType type, int64_t n_ctx, uint64_t stride_bytes)
      : type_(type), n_ctx_(n_ctx), stride_bytes_(stride_bytes) {}

  std::byte* At(int64_t plane, int64_t kv_head, int64_t position) const {
    const HeadPlace& place = places_[static_cast<size_t>(kv_head)];
    const int64_t row = (plane * place.heads + place.index) * n_ctx_ + position;
    return place.base + static_cast<uint64_t>(row) * stride_bytes_;
  }

  std::vector<Home> homes_;
  std::vector<HeadPlace> places_;  // [n_kv_heads]
  DType type_;
  int64_t n_ctx_;
  uint64_t stride_bytes_;
};

}  // namespace llmrun
