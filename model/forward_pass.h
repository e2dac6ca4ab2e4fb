// What the members of one forward pass share: internal to model/forward.cc.
// Threads: Progress and the flag are for all members; the rest does not change during a pass, but
// for `status` (see there).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "compute/kernels.h"
#include "model/forward_plans.h"
#include "sched/partition.h"
#include "sched/progress.h"

namespace llmrun {

// The right-hand side of a product, one row a token.
struct ForwardInput {
  int64_t n_tokens = 0;
  const float* x = nullptr;
  QuantizedRows xq;
};

// A row a token.
struct StridedRows {
  float* data = nullptr;
  int64_t stride = 0;  // floats from token to token
};

// What a token has for a head of the cache.
struct StoredRows {
  float* key = nullptr;
  const float* value = nullptr;
};

// How far a pass is with one head of the cache and the heads that look at it: counts that go on
// from layer to layer.
struct HeadProgress {
  Progress projected;  // rows of q, k and v
  Progress stored;     // tokens whose key and value are in the cache, and whose queries are rotated
  Progress attended;   // chunks of positions, of a single token
};

// What the members of one pass share.
struct ForwardPass {
  Progress routed = {};  // tokens, to experts: goes on from layer to layer
  const BatchPlans plans;
  const bool proceeds_at_once;      // the same for all members
  std::vector<HeadProgress> heads;  // [n_kv_heads]
  Status status = {};               // written before `failed` is set, once
  std::atomic<bool> failed{false};
};

// Calls f(i, part) for the parts of which a range of pairs (i, one of n) consists.
template <typename F>
void ForEachPart(Range pairs, int64_t n, F&& f) {
  for (int64_t at = pairs.begin; at < pairs.end;) {
    const int64_t i = at / n;
    const int64_t end = std::min(pairs.end, (i + 1) * n);
    f(i, Range{at - i * n, end - i * n});
    at = end;
  }
}

}  // namespace llmrun
