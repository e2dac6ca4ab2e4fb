// This folder's instruction set applied to every kernel.
#include "compute/kernels.h"

#include "compute/kernels/avxvnni/isa.h"
#include "compute/kernels/generic/attention.h"
#include "compute/kernels/generic/kv_store.h"
#include "compute/kernels/generic/layers.h"
#include "compute/kernels/generic/matmul.h"
#include "compute/kernels/generic/peak.h"
#include "compute/kernels/generic/quantize.h"
#include "compute/kernels/tables.h"

namespace llmrun::avxvnni {

constinit const Kernels kKernels = {
    IsaLevel::kAvxVnni,        generic::QuantizeRows<Isa>, generic::Matmul<Isa>,
    generic::RmsNorm<Isa>,     generic::SiluMul<Isa>,      generic::Add<Isa>,
    generic::Rope<Isa>,        generic::Attention<Isa>,    generic::AttendOneChunk<Isa>,
    generic::MergeChunks<Isa>, generic::StoreKey<Isa>,     generic::StoreValue<Isa>,
    generic::PeakInt8<Isa>,    generic::PeakF32<Isa>,
};

}  // namespace llmrun::avxvnni
