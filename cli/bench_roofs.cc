#include "cli/bench_roofs.h"

#include "compute/peak_rate.h"

namespace llmrun {

std::vector<ReadArea> AreasOf(const LlamaWeights& llama) {
  std::vector<ReadArea> areas;
  for (const WeightMatrix* matrix : MatricesOf(llama)) {
    for (const TensorPiece& piece : matrix->pieces) {
      areas.push_back({{piece.view.data, piece.view.bytes}, piece.node});
    }
  }
  return areas;
}

double MeasureWeightsRead(ThreadPool& pool, const LlamaWeights& llama) {
  return MeasureReadRate(pool, AreasOf(llama));
}

double MeasureMacRoof(ThreadPool& pool, const Kernels& kernels, const PassCosts& costs) {
  const double int8 = costs.int8_macs > 0 ? MeasurePeakRate(pool, kernels, PeakOf::kInt8) : 0;
  const double f32 = costs.f32_macs > 0 ? MeasurePeakRate(pool, kernels, PeakOf::kF32) : 0;
  return static_cast<double>(costs.macs()) / costs.Seconds(int8, f32);
}

}  // namespace llmrun
