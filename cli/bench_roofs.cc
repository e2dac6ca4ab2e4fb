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
  PerPeak<double> per_second = {};
  for (PeakOf of : {kPeakInt8, kPeakF32, kPeakBf16}) {
    if (costs.macs[of] > 0) per_second[of] = MeasurePeakRate(pool, kernels, of);
  }
  return static_cast<double>(costs.AllMacs()) / costs.Seconds(per_second);
}

}  // namespace llmrun
