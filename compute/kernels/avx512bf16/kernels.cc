// The kernels that gain from AVX-512 BF16; all others are those of AVX-512.
#include "compute/kernels.h"

#include "compute/kernels/avx512bf16/isa.h"
#include "compute/kernels/generic/float_matmul.h"
#include "compute/kernels/generic/peak.h"
#include "compute/kernels/tables.h"

namespace llmrun::avx512bf16 {
namespace {

bool Matmul(const MatmulArgs& args) {
  if (args.dtype != DType::kBF16) return avx512::kKernels.matmul(args);
  generic::FloatMatmul<Isa, generic::Bf16>::Run(args);
  return true;
}

}  // namespace

const Kernels& Table() {
  static const Kernels table = [] {
    Kernels kernels = avx512::kKernels;
    kernels.isa = IsaLevel::kAvx512Bf16;
    kernels.matmul = Matmul;
    kernels.peak_bf16 = generic::PeakBf16<Isa>;
    return kernels;
  }();
  return table;
}

}  // namespace llmrun::avx512bf16
