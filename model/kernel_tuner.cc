#include "model/kernel_tuner.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "compute/kernels/flush_denormals.h"
#include "compute/packing.h"
#include "sched/partition.h"

namespace llmrun {
namespace {

constexpr int64_t kMostSampleBytes = 4 * kMiB;
constexpr int64_t kLeastSampleBytes = kMiB;  // what takes less time than its measuring is repeated

bool CanLookUpMatrix(const WeightMatrix& matrix) {
  return matrix.packed && matrix.n_experts == 1 && CanLookUp(matrix.dtype) &&
         PackedRowsOf(static_cast<int64_t>(matrix.pieces.front().view.rows())) > 0;
}

template <typename Function>
void ForEachMatrix(LlamaWeights& llama, Function function) {
  for (LlamaLayer& layer : llama.layers) {
    for (WeightMatrix* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.attn_output, &layer.ffn.gate, &layer.ffn.up,
          &layer.ffn.down, &layer.shared.gate, &layer.shared.up, &layer.shared.down}) {
      if (matrix->rows > 0) function(*matrix);
    }
  }
  function(llama.output);
}

// Products of one shape with a token, each with another matrix, whose rows are then not in a cache
// from the time before.
class Sample {
 public:
  Sample(const Kernels& kernels, ThreadPool& pool, const ScratchArrays& scratch,
         const ProductShape& shape, std::span<WeightMatrix* const> matrices)
      : kernels_(kernels),
        pool_(pool),
        scratch_(scratch),
        shape_(shape),
        matrices_(matrices),
        q_(static_cast<size_t>(shape.cols)),
        scale_(q_.size() / kQuantBlock, 1.0F),
        sums_(q_.size() / kSumBlock),
        out_(static_cast<size_t>(Rows())),
        products_(1 + static_cast<size_t>(kLeastSampleBytes / SampleBytes())) {
    for (size_t i = 0; i < q_.size(); ++i) {
      q_[i] = static_cast<int8_t>(static_cast<int>(i * 37 % 255) - 127);
      sums_[i / kSumBlock] = static_cast<int16_t>(sums_[i / kSumBlock] + q_[i]);
    }
  }

  // Of one product.
  double Seconds(ProductKernel kernel) {
    const Team& team = *pool_.team();
    const Stopwatch watch;
    pool_.Run([&](int member) {
      if (!team.works(member)) return;
      const FlushDenormals flush;
      // What falls to others is left out, of both kernels.
      const Range rows = StaticRange(Rows(), pool_.size(), member, kPackedPanelRows);
      for (size_t i = next_; i < next_ + products_; ++i) {
        Multiply(*matrices_[i % matrices_.size()], rows, member, kernel);
      }
    });
    next_ += products_;
    return watch.Seconds() / static_cast<double>(products_);
  }

 private:
  int64_t Rows() const {
    const WeightMatrix& matrix = *matrices_.front();
    const auto most = kMostSampleBytes / static_cast<int64_t>(matrix.row_bytes);
    int64_t rows = std::max(most, kPackedPanelRows);
    for (const WeightMatrix* any : matrices_) {
      rows = std::min(rows, static_cast<int64_t>(any->pieces.front().view.rows()));
    }
    return PackedRowsOf(rows);
  }
  int64_t SampleBytes() const {
    return Rows() * static_cast<int64_t>(matrices_.front()->row_bytes);
  }
  void Multiply(const WeightMatrix& matrix, Range rows, int member, ProductKernel kernel) {
    if (rows.empty()) return;
    QuantizedRows xq{q_.data(), scale_.data(), sums_.data()};
    if (kernel == ProductKernel::kLookUp) {
      int8_t* tables = scratch_.tables + member * scratch_.tables_stride;
      kernels_.make_tables(xq.q, shape_.cols, tables);
      xq.tables = tables;
    }
    CHECK(kernels_.matmul({.dtype = matrix.dtype,
                           .weights = matrix.pieces.front().view.data,
                           .row_bytes = matrix.row_bytes,
                           .packed_rows = Rows(),
                           .n_cols = shape_.cols,
                           .row_begin = rows.begin,
                           .row_end = rows.end,
                           .n_tokens = 1,
                           .xq = xq,
                           .out = out_.data(),
                           .out_stride = Rows()}));
  }

  const Kernels& kernels_;
  ThreadPool& pool_;
  const ScratchArrays& scratch_;
  const ProductShape shape_;
  const std::span<WeightMatrix* const> matrices_;
  std::vector<int8_t> q_;
  std::vector<float> scale_;
  std::vector<int16_t> sums_;
  std::vector<float> out_;
  const size_t products_;  // of one sample
  size_t next_ = 0;
};

}  // namespace

bool CanLookUpAny(LlamaWeights& llama) {
  bool any = false;
  ForEachMatrix(llama, [&](const WeightMatrix& matrix) { any = any || CanLookUpMatrix(matrix); });
  return any;
}

KernelTuner::KernelTuner(LlamaWeights& llama, const Kernels& kernels, KernelTuning tuning)
    : kernels_(kernels), tuning_(std::move(tuning)) {
  if (tuning_.mode == KernelTuning::Mode::kMultiply) return;
  ForEachMatrix(llama, [&](WeightMatrix& matrix) {
    if (!CanLookUpMatrix(matrix)) return;
    pending_[{kernels.isa, matrix.dtype, matrix.rows, matrix.cols}].push_back(&matrix);
  });
  std::erase_if(pending_, [&](const auto& of_shape) {
    const auto& [shape, matrices] = of_shape;
    if (tuning_.mode == KernelTuning::Mode::kLookUp) {
      Choose(shape, matrices, ProductKernel::kLookUp);
      return true;
    }
    const auto known = tuning_.known.find(shape);
    if (known == tuning_.known.end()) return false;
    Choose(shape, matrices, known->second);
    return true;
  });
}

void KernelTuner::Choose(const ProductShape& shape, const Matrices& matrices,
                         ProductKernel kernel) {
  tuned_.choices[shape] = kernel;
  for (WeightMatrix* matrix : matrices) matrix->looked_up = kernel == ProductKernel::kLookUp;
}

void KernelTuner::Measure(ThreadPool& pool, const ScratchArrays& scratch) {
  const Stopwatch watch;
  for (const auto& [shape, matrices] : pending_) {
    Sample sample(kernels_, pool, scratch, shape, matrices);
    Choose(shape, matrices, FasterKernel([&, &of = shape](ProductKernel kernel) {
             return tuning_.measure ? tuning_.measure(of, kernel) : sample.Seconds(kernel);
           }));
    ++tuned_.measured;
  }
  pending_.clear();
  tuned_.seconds = watch.Seconds();
  if (tuning_.on_measured) tuning_.on_measured(tuned_);
}

}  // namespace llmrun
