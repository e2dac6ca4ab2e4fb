// Chooses, for each shape of a model's matrices, the kernel of single tokens
// (compute/kernel_choice.h): as it is told, as it is known from before, or by measuring both on the
// weights themselves, where they lie, with the threads that decode.
//
// Matrices that can be looked up are those of types with tables whose rows were packed; experts are
// always multiplied. Bits do not depend on the choice.
//
// Threads: Single-thread, between passes. Must outlive it: the weights and scratch it was made of.
// Failure: none.
#pragma once

#include <map>
#include <vector>

#include "compute/kernel_choice.h"
#include "compute/kernels.h"
#include "model/kernel_tuning.h"
#include "model/llama_weights.h"
#include "model/scratch.h"
#include "sched/thread_pool.h"

namespace llmrun {

// Whether any matrix can be looked up.
bool CanLookUpAny(LlamaWeights& llama);

class KernelTuner {
 public:
  // Makes the choices that need no measuring.
  KernelTuner(LlamaWeights& llama, const Kernels& kernels, KernelTuning tuning);

  bool pending() const { return !pending_.empty(); }
  // Measures what is left. Requires: all weights are there; scratch with tables. Some milliseconds
  // a shape at most: of larger matrices only some rows are multiplied.
  void Measure(ThreadPool& pool, const ScratchArrays& scratch);
  const KernelTuned& tuned() const { return tuned_; }

 private:
  using Matrices = std::vector<WeightMatrix*>;

  void Choose(const ProductShape& shape, const Matrices& matrices, ProductKernel kernel);

  const Kernels& kernels_;
  const KernelTuning tuning_;
  std::map<ProductShape, Matrices> pending_;
  KernelTuned tuned_;
};

}  // namespace llmrun
