// How the stages of attention follow each other: internal to model/forward_attention.cc and
// model/forward_latent.cc.
// Threads: as model/forward_member.h.
#pragma once

#include <cstdint>

#include "model/forward_member.h"

namespace llmrun {

// From q, k and v to attention, behind a stage that computes them, or alone.
template <typename... Works>
void ForwardMember::AttendInStages(int64_t layer_index, const Stage<Works>&... before) {
  if (batch_plans_.attend_by_kv_head.total > 0) {
    const auto attend = [&](Range kv_heads) { StoreAndAttend(layer_index, kv_heads); };
    StepInStages(before..., Stage{batch_plans_.attend_by_kv_head, attend});
    return;
  }
  const bool by_chunk = batch_plans_.attend_chunks.total > 0;
  const auto store = [&](Range pairs) { StorePairs(layer_index, pairs); };
  const auto attend = [&](Range pairs) {
    by_chunk ? AttendChunks(layer_index, pairs) : AttendRuns(layer_index, pairs);
  };
  StepInStages(before..., Stage{batch_plans_.store_kv, store},
               Stage{by_chunk ? batch_plans_.attend_chunks : batch_plans_.attend, attend});
}

}  // namespace llmrun
