#include "model/pass_costs.h"

#include <algorithm>
#include <numeric>

namespace llmrun {

uint64_t PassCosts::AllMacs() const { return std::accumulate(macs.begin(), macs.end(), 0UL); }

double PassCosts::Seconds(const PerPeak<double>& per_second) const {
  double seconds = 0;
  for (size_t i = 0; i < macs.size(); ++i) {
    if (macs[i] > 0) seconds += static_cast<double>(macs[i]) / per_second[i];
  }
  return seconds;
}

std::vector<const WeightMatrix*> MatricesOf(const LlamaWeights& llama) {
  std::vector<const WeightMatrix*> matrices;
  for (const LlamaLayer& layer : llama.layers) {
    for (const WeightMatrix* matrix :
         {&layer.latent.q_a, &layer.q, &layer.latent.kv_a, &layer.latent.kv_b, &layer.latent.k_b,
          &layer.latent.v_b, &layer.k, &layer.v, &layer.attn_output, &layer.router, &layer.ffn.gate,
          &layer.ffn.up, &layer.ffn.down, &layer.shared.gate, &layer.shared.up,
          &layer.shared.down}) {
      if (matrix->rows > 0) matrices.push_back(matrix);
    }
  }
  matrices.push_back(&llama.output);
  return matrices;
}

PassCosts CostsOfPass(const LlamaWeights& llama, int64_t n_tokens, int64_t n_logits) {
  PassCosts costs;
  for (const WeightMatrix* matrix : MatricesOf(llama)) {
    const bool experts = matrix->n_experts > 1;
    const auto rows = static_cast<uint64_t>(matrix->rows_of_expert());
    const auto times = static_cast<uint64_t>((matrix == &llama.output ? n_logits : n_tokens) *
                                             (experts ? llama.n_experts_used : 1));
    const auto read = std::min(times, static_cast<uint64_t>(matrix->n_experts));
    costs.weight_bytes += read * rows * matrix->row_bytes;
    costs.macs[PeakOfType(matrix->dtype)] += rows * static_cast<uint64_t>(matrix->cols) * times;
  }
  return costs;
}

}  // namespace llmrun
