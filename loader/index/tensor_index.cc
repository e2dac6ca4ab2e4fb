#include "loader/index/tensor_index.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/checked.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

constexpr uint32_t kMaxLayers = 100'000;

// A split model says in each part which one it is (split.no, from 0), how many there are and how
// many tensors they have together.
// Source: gguf-split of the ggml project.
Status CheckSplit(const std::vector<GgufFile>& files) {
  uint64_t n_tensors = 0;
  for (const GgufFile& file : files) n_tensors += file.tensors.size();
  for (size_t i = 0; i < files.size(); ++i) {
    const Metadata& metadata = files[i].metadata;
    ASSIGN_OR_RETURN(const uint64_t count, metadata.GetUintOr("split.count", 0));
    if (count <= 1 && files.size() == 1) return {};
    if (count != files.size()) {
      return MakeError(ErrorCode::kBadData, "{}: split.count is {}, but {} part(s) are there",
                       files[i].label, count, files.size());
    }
    ASSIGN_OR_RETURN(const uint64_t number, metadata.GetUint("split.no"));
    if (number != i) {
      return MakeError(ErrorCode::kBadData, "{}: split.no is {}, expected {} from its name",
                       files[i].label, number, i);
    }
    ASSIGN_OR_RETURN(const uint64_t total, metadata.GetUintOr("split.tensors.count", n_tensors));
    if (total != n_tensors) {
      return MakeError(ErrorCode::kBadData,
                       "{}: split.tensors.count is {}, but the {} parts have {} tensors",
                       files[i].label, total, files.size(), n_tensors);
    }
  }
  return {};
}

// The layer of "blk.<layer>.<rest>"; nullopt for any other name. A number that does not fit comes
// out as kMaxLayers.
std::optional<uint32_t> LayerOf(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size();
  const char* dot = std::find(begin, end, '.');
  uint32_t layer = 0;
  const auto [rest, error] = std::from_chars(begin, dot, layer);
  if (dot == end || rest != dot || begin == dot) return std::nullopt;
  return error == std::errc() ? std::min(layer, kMaxLayers) : kMaxLayers;
}

bool IsAfterLayers(std::string_view name) {
  return name.starts_with("output.") || name.starts_with("output_norm.") ||
         name.starts_with("token_embd.");
}

}  // namespace

Status TensorIndex::AddTensors(uint32_t file) {
  const auto name_of = [&](uint32_t i) -> const std::string& { return tensors_[i].name; };
  for (const TensorInfo& info : files_[file].tensors) {
    const uint32_t id = static_cast<uint32_t>(tensors_.size());
    if (const auto other = by_name_.Find(info.name, name_of)) {
      return MakeError(ErrorCode::kBadData, "{}: tensor {} is in {} too", files_[file].label,
                       Quoted(info.name), files_[tensors_[*other].extent.file].label);
    }
    IndexedTensor& tensor = tensors_.emplace_back();
    tensor.name = info.name;
    tensor.dtype = info.dtype;
    tensor.n_dims = info.n_dims;
    tensor.dims = info.dims;
    tensor.extent = {file, info.file_offset, info.bytes};
    by_name_.Insert(tensor.name, id, name_of);
    if (!CheckedAdd(total_bytes_, info.bytes, &total_bytes_)) {
      return MakeError(ErrorCode::kBadData, "{}: the parts have more than 2^64 bytes of tensors",
                       files_[file].label);
    }
  }
  return {};
}

Status TensorIndex::AssignGroups() {
  std::vector<bool> seen;
  for (IndexedTensor& tensor : tensors_) {
    const std::optional<uint32_t> layer = LayerOf(tensor.name);
    if (!layer) continue;
    if (*layer >= kMaxLayers) {
      return MakeError(ErrorCode::kBadData, "{}: tensor {}: at most {} layers are accepted",
                       files_[tensor.extent.file].label, Quoted(tensor.name), kMaxLayers);
    }
    if (*layer >= seen.size()) seen.resize(*layer + 1);
    seen[*layer] = true;
    tensor.group = 1 + *layer;
  }
  const auto gap = std::ranges::find(seen, false);
  if (gap != seen.end()) {
    return MakeError(ErrorCode::kBadData, "{}: layer {} has no tensors, but layer {} has",
                     files_.front().label, gap - seen.begin(), seen.size() - 1);
  }
  group_count_ = static_cast<GroupId>(seen.size()) + 2;
  for (IndexedTensor& tensor : tensors_) {
    if (IsAfterLayers(tensor.name)) tensor.group = group_count_ - 1;
  }
  return {};
}

Result<TensorIndex> TensorIndex::Build(std::vector<GgufFile> files) {
  CHECK(!files.empty());
  // Only GGUF has keys for splits, and names that say which layer a tensor belongs to.
  const bool is_gguf = files.front().format == FileFormat::kGguf;
  if (is_gguf) RETURN_IF_ERROR(CheckSplit(files));
  TensorIndex index;
  index.files_ = std::move(files);
  size_t n_tensors = 0;
  for (const GgufFile& file : index.files_) n_tensors += file.tensors.size();
  if (n_tensors >= UINT32_MAX) {
    return MakeError(ErrorCode::kBadData, "{}: {} tensors, fewer than 2^32 - 1 are accepted",
                     index.files_.front().label, n_tensors);
  }
  index.tensors_.reserve(n_tensors);
  index.by_name_.Reserve(n_tensors);
  for (uint32_t i = 0; i < index.files_.size(); ++i) RETURN_IF_ERROR(index.AddTensors(i));
  if (is_gguf) RETURN_IF_ERROR(index.AssignGroups());
  return index;
}

std::optional<TensorId> TensorIndex::Find(std::string_view name) const {
  const auto name_of = [&](uint32_t i) -> const std::string& { return tensors_[i].name; };
  const std::optional<uint32_t> at = by_name_.Find(name, name_of);
  if (!at) return std::nullopt;
  return TensorId{*at};
}

}  // namespace llmrun
