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
#include "sched/partition.h"
#include "sched/team.h"

namespace llmrun {

class RowStrips {
 public:
  explicit RowStrips(std::initializer_list<const WeightMatrix*> matrices);

  // The line dealt out to a team, cut at multiples of `grain` from where a node's rows begin. What
  // lies on nodes is for those who work there.
  StepPlan Deal(const Team& team, Zone zone, int64_t grain) const;
  // Calls f(matrix, rows) for each run of rows of one matrix in this piece of the line; `matrix`
  // counts from 0.
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
  };

  std::vector<Strip> strips_;
  bool sharded_ = false;
};

// The products that a layer shares out together.
struct LayerStrips {
  RowStrips qkv;
  RowStrips attn_output;
  RowStrips gate;  // and up, whose rows lie as those of gate do
  RowStrips down;
};
struct ModelStrips {
  std::vector<LayerStrips> layers;
  RowStrips output;
};
ModelStrips StripsOf(const LlamaWeights& llama);

}  // namespace llmrun
