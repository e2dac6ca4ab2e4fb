// Every kernel of an instruction set.
#pragma once

#include "compute/kernels.h"
#include "compute/kernels/generic/attention.h"
#include "compute/kernels/generic/kv_store.h"
#include "compute/kernels/generic/layers.h"
#include "compute/kernels/generic/matmul.h"
#include "compute/kernels/generic/peak.h"
#include "compute/kernels/generic/quantize.h"
#include "compute/kernels/generic/table_lookup.h"

namespace llmrun::generic {

template <class Isa>
constexpr Kernels TableOf(IsaLevel level) {
  return {level,
          QuantizeRows<Isa>,
          MakeTables<Isa>,
          Matmul<Isa>,
          RmsNorm<Isa>,
          LayerNorm<Isa>,
          SiluMul<Isa>,
          Relu2Mul<Isa>,
          GeluMul<Isa>,
          ClampedSwiglu<Isa>,
          SoftCap<Isa>,
          Add<Isa>,
          AddScaled<Isa>,
          Rope<Isa>,
          Attention<Isa>,
          AttendOneChunk<Isa>,
          MergeChunks<Isa>,
          StoreKey<Isa>,
          StoreValue<Isa>,
          PeakInt8<Isa>,
          PeakF32<Isa>,
          PeakBf16<Isa>};
}

}  // namespace llmrun::generic
