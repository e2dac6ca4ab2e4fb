// What a forward pass must do with weights, whatever computes it: what measured speeds are compared
// with. Attention, norms and the row of embeddings of a token are not counted.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "compute/peak_rate.h"
#include "model/llama_weights.h"

namespace llmrun {

struct PassCosts {
  // Of the matrices, each read once; of experts as many as the tokens can go to.
  uint64_t weight_bytes = 0;
  PerPeak<uint64_t> macs = {};  // multiply-adds of the matrices, by what they are made of

  uint64_t AllMacs() const;
  // The least time of the multiply-adds, given how many a second are possible of each.
  double Seconds(const PerPeak<double>& per_second) const;
};

// All matrices that activations are multiplied with: those of the layers, and the output last.
std::vector<const WeightMatrix*> MatricesOf(const LlamaWeights& llama);

// Of one batch: of n_tokens, the last n_logits want logits.
PassCosts CostsOfPass(const LlamaWeights& llama, int64_t n_tokens, int64_t n_logits);

}  // namespace llmrun
