#include "model/tensor_binder.h"

#include <fmt/format.h>

#include <algorithm>

#include "compute/codec.h"
#include "compute/kernels.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

std::string ShapeText(const Dims& dims, int n_dims) {
  return fmt::format("[{}]", fmt::join(dims.begin(), dims.begin() + n_dims, ", "));
}

Dims DimsOf(int64_t cols, int64_t rows = 1, int64_t n_experts = 1) {
  return {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows),
          static_cast<uint64_t>(n_experts), 1};
}

std::string MatmulTypes() {
  std::vector<std::string_view> names;
  for (const BlockTraits& traits : AllBlockTraits()) {
    if (HasMatmul(traits.type)) names.push_back(traits.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

TensorBinder::TensorBinder(const Weights& weights)
    : weights_(weights), used_(weights.index().tensors().size()) {}

tl::unexpected<Error> TensorBinder::Fail(ErrorCode code, const IndexedTensor& tensor,
                                         std::string_view message) const {
  return MakeError(code, "{}: tensor {}: {}", weights_.index().files()[tensor.extent.file].label,
                   Quoted(tensor.name), message);
}

Result<TensorId> TensorBinder::Find(const std::string& name, const Dims& expected) {
  const TensorIndex& index = weights_.index();
  const std::optional<TensorId> id = index.Find(name);
  if (!id) {
    return MakeError(ErrorCode::kBadData, "{}: tensor '{}' is missing", index.metadata().label(),
                     name);
  }
  used_[static_cast<uint32_t>(*id)] = true;
  const IndexedTensor& tensor = index.at(*id);
  if (tensor.dims != expected) {
    int n_dims = 3;
    while (n_dims > 1 && expected[static_cast<size_t>(n_dims - 1)] == 1) --n_dims;
    return Fail(ErrorCode::kBadData, tensor,
                fmt::format("expected shape {}, found {}", ShapeText(expected, n_dims),
                            ShapeText(tensor.dims, tensor.n_dims)));
  }
  return *id;
}

Result<WeightMatrix> TensorBinder::Matrix(const std::string& name, int64_t rows, int64_t cols) {
  ASSIGN_OR_RETURN(const TensorId id, Find(name, DimsOf(cols, rows)));
  return MatrixOf(id);
}

Result<WeightMatrix> TensorBinder::Experts(const std::string& name, int64_t n_experts, int64_t rows,
                                           int64_t cols) {
  ASSIGN_OR_RETURN(const TensorId id, Find(name, DimsOf(cols, rows, n_experts)));
  ASSIGN_OR_RETURN(WeightMatrix matrix, MatrixOf(id));
  matrix.n_experts = n_experts;
  return matrix;
}

Result<WeightMatrix> TensorBinder::MatrixOf(TensorId id) const {
  const IndexedTensor& tensor = weights_.index().at(id);
  if (!HasMatmul(tensor.dtype) || !HasCodec(tensor.dtype)) {
    return Fail(ErrorCode::kUnavailable, tensor,
                fmt::format("type {} is not supported; those that are: {}", NameOf(tensor.dtype),
                            MatmulTypes()));
  }
  const auto cols = static_cast<int64_t>(tensor.dims[0]);
  if (cols % MatmulColumns(tensor.dtype) != 0) {
    return Fail(ErrorCode::kUnavailable, tensor,
                fmt::format("rows of {} values of type {} are not supported, only multiples of {}",
                            cols, NameOf(tensor.dtype), MatmulColumns(tensor.dtype)));
  }
  return WeightMatrix{.tensor = id,
                      .dtype = tensor.dtype,
                      .pieces = weights_.Pieces(id),
                      .row_bytes = RowBytes(tensor.dtype, tensor.dims[0]),
                      .rows = static_cast<int64_t>(tensor.dims[1] * tensor.dims[2]),
                      .cols = cols,
                      .packed = weights_.packed(id),
                      .quantized_input = UsesQuantizedActivations(tensor.dtype)};
}

Result<const float*> TensorBinder::Vector(const std::string& name, int64_t n, int64_t n_experts) {
  ASSIGN_OR_RETURN(const TensorId id, Find(name, DimsOf(n, n_experts)));
  const IndexedTensor& tensor = weights_.index().at(id);
  if (tensor.dtype != DType::kF32) {
    return Fail(ErrorCode::kUnavailable, tensor,
                fmt::format("expected type F32, found {}", NameOf(tensor.dtype)));
  }
  // Only a file with a general.alignment below 4 can have this.
  if (tensor.extent.offset % alignof(float) != 0) {
    return Fail(ErrorCode::kBadData, tensor,
                fmt::format("expected a file offset that is a multiple of {}, found {}",
                            alignof(float), tensor.extent.offset));
  }
  return static_cast<const float*>(static_cast<const void*>(weights_.View(id).data));
}

tl::unexpected<Error> TensorBinder::Refuse(const std::string& name, std::string_view why) const {
  const TensorIndex& index = weights_.index();
  return Fail(ErrorCode::kUnavailable, index.at(index.Find(name).value()), why);
}

void TensorBinder::Ignore(std::string_view name) {
  const std::optional<TensorId> id = weights_.index().Find(name);
  if (id) used_[static_cast<uint32_t>(*id)] = true;
}

Status TensorBinder::ExpectAllUsed(std::string_view architecture) const {
  const auto unused = std::ranges::find(used_, false);
  if (unused == used_.end()) return {};
  const IndexedTensor& tensor =
      weights_.index().tensors()[static_cast<size_t>(unused - used_.begin())];
  return Fail(
      ErrorCode::kUnavailable, tensor,
      fmt::format("not a tensor of architecture {} as it is supported here", Quoted(architecture)));
}

}  // namespace llmrun
