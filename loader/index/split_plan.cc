#include "loader/index/split_plan.h"

namespace llmrun {
namespace {

constexpr size_t kMostParts = 65'535;  // split.count is a u16

bool IsSplitKey(std::string_view key) { return key.starts_with("split."); }

uint32_t AlignmentOf(const TensorIndex& index) {
  return static_cast<uint32_t>(index.files().front().alignment);
}

}  // namespace

Result<std::vector<SplitPart>> PlanSplit(const TensorIndex& index, const SplitLimits& limits) {
  std::vector<SplitPart> parts(1);
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const uint64_t bytes = index.tensors()[i].extent.bytes;
    const SplitPart& part = parts.back();
    const uint64_t tensors = part.last - part.first;
    const bool full = tensors > 0 &&
                      ((limits.max_tensors > 0 && tensors >= limits.max_tensors) ||
                       (limits.max_bytes > 0 &&
                        (part.bytes >= limits.max_bytes || bytes > limits.max_bytes - part.bytes)));
    if (full) parts.push_back({i, i, 0});
    ++parts.back().last;
    parts.back().bytes += bytes;
  }
  if (parts.size() <= kMostParts) return parts;
  return MakeFixableError(ErrorCode::kUsage, "larger parts", "{} parts, at most {} can be numbered",
                          parts.size(), kMostParts);
}

Status AddTensorsOf(const TensorIndex& index, uint32_t first, uint32_t last, GgufWriter* header) {
  for (uint32_t i = first; i < last; ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const std::vector<uint64_t> dims(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims);
    RETURN_IF_ERROR(header->AddTensor(tensor.name, tensor.dtype, dims));
  }
  return {};
}

Result<GgufWriter> SplitPartHeader(const TensorIndex& index, const std::vector<SplitPart>& parts,
                                   size_t number) {
  GgufWriter header(AlignmentOf(index));
  if (number == 0) {
    header.AddFrom(index.metadata(), [](std::string_view key) { return !IsSplitKey(key); });
  }
  header.Add("split.no", MetaType::kUint16, static_cast<uint16_t>(number));
  header.Add("split.count", MetaType::kUint16, static_cast<uint16_t>(parts.size()));
  header.Add("split.tensors.count", MetaType::kInt32, static_cast<int32_t>(index.tensors().size()));
  RETURN_IF_ERROR(AddTensorsOf(index, parts[number].first, parts[number].last, &header));
  return header;
}

Result<GgufWriter> MergedHeader(const TensorIndex& index) {
  GgufWriter header(AlignmentOf(index));
  header.AddFrom(index.metadata(), [](std::string_view key) { return !IsSplitKey(key); });
  RETURN_IF_ERROR(AddTensorsOf(index, 0, static_cast<uint32_t>(index.tensors().size()), &header));
  return header;
}

}  // namespace llmrun
