// The rows of some matrices in one line, node by node, so that they are dealt out to the members of
// a pool as if they were one matrix: each gets rows that lie on its own NUMA node.
// Threads: a value.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "model/llama_weights.h"
#include "model/model_config.h"
#include "sched/partition.h"
#include "sched/team.h"

namespace llmrun {

class RowStrips {
 public:
  struct Source {
    const WeightMatrix* matrix = nullptr;
    int64_t rows_per_group = 0;  // 0: all
  };
  // Of one group (a head, say) after the other: its rows of the first matrix, of the second, ...
  explicit RowStrips(std::initializer_list<Source> sources);

  // The line dealt out to a team, cut at multiples of `grain` from where a node's rows begin. What
  // lies on nodes is for those who work there.
  StepPlan Deal(const Team& team, Zone zone, int64_t grain) const;
  // Calls f(matrix, rows) for each run of rows of one matrix and group in this piece of the line;
  // `matrix` counts from 0.
  template <typename F>
  void ForEach(Range piece, F&& f) const {
    int64_t first = 0;
    for (const Strip& strip : strips_) {
      const int64_t rows = strip.rows.size();
      const Range here{std::max<int64_t>(piece.begin - first, 0),
                       std::min(piece.end - first, rows)};
      if (!here.empty()) {
        f(strip.matrix, Range{strip.rows.begin + here.begin, strip.rows.begin + here.end});
      }
      first += rows;
    }
  }

 private:
  struct Strip {
    size_t matrix = 0;
    Range rows;
    std::optional<unsigned> node;
    int64_t group = 0;
  };

  void Add(Strip strip, int64_t rows_per_group);

  std::vector<Strip> strips_;
  bool sharded_ = false;
};

// The products that a layer shares out together.
struct LayerStrips {
  // Where there are latents: these and queries (or what those are made from), then such queries.
  RowStrips latent;
  RowStrips q;
  // By the heads of keys and values. Of latents kv_b alone; where they are cached k_b, by heads,
  // and then v_b.
  RowStrips qkv;
  RowStrips v;
  RowStrips attn_output;
  // Of experts the shared one, if any: what the others do is dealt out token by token
  // (forward_plans.h).
  RowStrips gate;  // and up, whose rows lie as those of gate do
  RowStrips down;
};
struct ModelStrips {
  std::vector<LayerStrips> layers;
  RowStrips output;
};
ModelStrips StripsOf(const LlamaWeights& llama, const ModelConfig& config);

}  // namespace llmrun
