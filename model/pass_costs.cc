#include "model/pass_costs.h"

#include <algorithm>

namespace llmrun {

double PassCosts::Seconds(double int8_per_s, double f32_per_s) const {
  double seconds = 0;
  if (int8_macs > 0) seconds += static_cast<double>(int8_macs) / int8_per_s;
  if (f32_macs > 0) seconds += static_cast<double>(f32_macs) / f32_per_s;
  return seconds;
}

std::vector<const WeightMatrix*> MatricesOf(const LlamaWeights& llama) {
  std::vector<const WeightMatrix*> matrices;
  for (const LlamaLayer& layer : llama.layers) {
    matrices.insert(matrices.end(), {&layer.q, &layer.k, &layer.v, &layer.attn_output});
    if (layer.router.rows > 0) matrices.push_back(&layer.router);
    matrices.insert(matrices.end(), {&layer.gate, &layer.up, &layer.down});
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
    uint64_t& macs = matrix->quantized_input ? costs.int8_macs : costs.f32_macs;
    macs += rows * static_cast<uint64_t>(matrix->cols) * times;
  }
  return costs;
}

}  // namespace llmrun
