#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "loader/gguf/name_table.h"
#include "loader/gguf/parse_parts.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

Status ReadDims(GgufCursor& cursor, TensorInfo* tensor) {
  ASSIGN_OR_RETURN(const uint32_t n_dims, cursor.Read<uint32_t>("the number of dimensions"));
  if (n_dims < 1 || n_dims > kMaxDims) {
    return cursor.Fail("{} dimensions, 1 to {} are accepted", n_dims, kMaxDims);
  }
  tensor->n_dims = static_cast<int>(n_dims);
  for (uint32_t i = 0; i < n_dims; ++i) {
    ASSIGN_OR_RETURN(tensor->dims[i], cursor.Read<uint64_t>("a dimension"));
    if (tensor->dims[i] == 0) return cursor.Fail("dimension {} is 0", i);
  }
  return {};
}

// Leaves file_offset relative to the data: where that begins is known after the last description.
Status ReadDescription(GgufCursor& cursor, const GgufLimits& limits, uint64_t alignment,
                       TensorInfo* tensor) {
  ASSIGN_OR_RETURN(tensor->name, cursor.ReadString(limits.max_tensor_name_bytes, "the name"));
  if (tensor->name.empty()) return cursor.Fail("the tensor name is empty");
  cursor.NameEntry(tensor->name);
  RETURN_IF_ERROR(ReadDims(cursor, tensor));
  ASSIGN_OR_RETURN(const uint32_t type, cursor.Read<uint32_t>("the element type"));
  const BlockTraits* traits = FindBlockTraits(type);
  if (traits == nullptr) return cursor.Fail("unknown element type {}", type);
  tensor->dtype = traits->type;
  const Result<uint64_t> bytes = TensorBytes(tensor->dtype, tensor->dims);
  if (!bytes) return cursor.Fail("{}", bytes.error().message);
  tensor->bytes = *bytes;
  ASSIGN_OR_RETURN(tensor->file_offset, cursor.Read<uint64_t>("the data offset"));
  if (tensor->file_offset % alignment != 0) {
    return cursor.Fail("data offset {} is not a multiple of the alignment {}", tensor->file_offset,
                       alignment);
  }
  return {};
}

// Makes the offsets absolute. Every addition is checked: the offsets are the file's own numbers.
Status PlaceTensors(GgufFile* file, uint64_t header_bytes) {
  if (file->tensors.empty()) {
    file->data_offset = file->file_bytes;
    return {};
  }
  if (!CheckedAlignUp(header_bytes, file->alignment, &file->data_offset) ||
      file->data_offset > file->file_bytes) {
    return MakeError(ErrorCode::kBadData,
                     "{}: byte {}: tensor data should begin at the next multiple of {}, the file "
                     "ends at byte {}",
                     file->label, header_bytes, file->alignment, file->file_bytes);
  }
  for (TensorInfo& tensor : file->tensors) {
    uint64_t end = 0;
    if (!CheckedAdd(tensor.file_offset, file->data_offset, &tensor.file_offset) ||
        !CheckedAdd(tensor.file_offset, tensor.bytes, &end) || end > file->file_bytes) {
      return MakeFixableError(
          ErrorCode::kBadData, "download or copy the file again",
          "{}: tensor {}: {} bytes of data expected at byte {}, the file ends at byte {}",
          file->label, Quoted(tensor.name), tensor.bytes, tensor.file_offset, file->file_bytes);
    }
  }
  return {};
}

Status CheckNoOverlap(const GgufFile& file) {
  std::vector<uint32_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](uint32_t i) { return file.tensors[i].file_offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const TensorInfo& before = file.tensors[order[i - 1]];
    const TensorInfo& after = file.tensors[order[i]];
    if (before.file_offset + before.bytes > after.file_offset) {
      return MakeError(ErrorCode::kBadData,
                       "{}: tensor {} at bytes {}..{} overlaps tensor {} at byte {}", file.label,
                       Quoted(before.name), before.file_offset, before.file_offset + before.bytes,
                       Quoted(after.name), after.file_offset);
    }
  }
  return {};
}

}  // namespace

Status ReadTensors(GgufCursor& cursor, uint64_t count, const GgufLimits& limits, GgufFile* file) {
  RETURN_IF_ERROR(cursor.ExpectRoom(count, kMinDescriptionBytes, "tensor descriptions"));
  file->tensors.reserve(count);
  NameTable names;
  names.Reserve(count);
  const auto name_of = [&](uint32_t i) -> const std::string& { return file->tensors[i].name; };
  for (uint64_t i = 0; i < count; ++i) {
    cursor.EnterEntry("tensor", "tensor", i, count);
    TensorInfo& tensor = file->tensors.emplace_back();
    const uint64_t entry_at = cursor.position();
    RETURN_IF_ERROR(ReadDescription(cursor, limits, file->alignment, &tensor));
    if (!names.Insert(tensor.name, static_cast<uint32_t>(i), name_of)) {
      return cursor.Fail("the tensor is there twice (described again at byte {})", entry_at);
    }
  }
  cursor.LeaveEntry();
  RETURN_IF_ERROR(PlaceTensors(file, cursor.position()));
  return CheckNoOverlap(*file);
}

}  // namespace llmrun
