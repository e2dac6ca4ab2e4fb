#include "cli/tensor_check.h"

#include <cmath>
#include <vector>

#include "compute/codec.h"
#include "loader/weights.h"

namespace llmrun {

namespace {

Status CheckPiece(const TensorPiece& piece, TensorCheck* check) {
  const TensorView& view = piece.view;
  if (view.bytes == 0) return {};  // whatever its other dimensions say
  std::vector<float> values(view.row_elems());
  const uint64_t row_bytes = view.rows() * view.row_bytes();
  // Of a tensor in several pieces, only the last has the scale behind it.
  const bool has_scale = view.bytes > row_bytes;
  const float scale = has_scale ? TensorScale(view.dtype, view.data + row_bytes) : 1;
  for (uint64_t row = 0; row < view.rows(); ++row) {
    RETURN_IF_ERROR(DequantizeRow(view.dtype, view.data + row * view.row_bytes(),
                                  static_cast<int64_t>(values.size()), values.data(), scale));
    // One pass without branches finds whether there is anything to look for: 0 * x is 0 for every
    // finite x and NaN for all others.
    float sum = 0;
    for (const float value : values) sum += 0.0F * value;
    if (sum == 0) continue;
    for (uint64_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      if (!check->first) check->first = NotFinite{piece.row_begin + row, i, values[i]};
      ++check->not_finite;
    }
  }
  return {};
}

}  // namespace

Result<TensorCheck> CheckTensor(std::span<const TensorPiece> pieces) {
  TensorCheck check;
  check.xxh3 = HashTensor(pieces);
  for (const TensorPiece& copy : AreCopies(pieces) ? pieces.subspan(1) : pieces.first(0)) {
    if (HashTensor(copy.view) == check.xxh3) continue;
    return MakeError(ErrorCode::kInternal, "the copy of a tensor on node {} differs from the first",
                     copy.node.value_or(0));
  }
  if (!HasCodec(pieces.front().view.dtype)) return check;
  check.values_checked = true;
  if (AreCopies(pieces)) {
    RETURN_IF_ERROR(CheckPiece(pieces.front(), &check));
    return check;
  }
  for (const TensorPiece& piece : pieces) RETURN_IF_ERROR(CheckPiece(piece, &check));
  return check;
}

std::string DescribeNotFinite(const NotFinite& found) {
  return fmt::format("row {} element {} is {}", found.row, found.element, found.value);
}

}  // namespace llmrun
