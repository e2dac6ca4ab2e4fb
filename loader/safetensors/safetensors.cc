#include "loader/safetensors/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "loader/gguf/printable.h"
#include "loader/gguf/wrong_format.h"
#include "loader/safetensors/header_json.h"

namespace llmrun {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr const char* kAgain = "download or copy the file again";

Result<std::string> ReadHeaderBytes(ByteSource& source) {
  const uint64_t file_bytes = source.SizeBytes();
  if (file_bytes <= kLengthBytes) {
    return MakeFixableError(ErrorCode::kBadData, kAgain,
                            "{}: byte 0: expected a length of 8 bytes and a header, the file has "
                            "{} bytes",
                            source.Label(), file_bytes);
  }
  std::array<std::byte, kWrongFormatHeadBytes> head;
  const std::span<std::byte> part =
      std::span(head).first(std::min<uint64_t>(head.size(), file_bytes));
  RETURN_IF_ERROR(source.ReadAt(0, part));
  if (head[kLengthBytes] != std::byte{'{'}) {
    const WrongFormat found = RecognizeWrongFormat(part);
    return MakeFixableError(ErrorCode::kBadData, found.fix, "{}: not a safetensors file: found {}",
                            source.Label(), found.what);
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, head.data(), sizeof header_bytes);
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return MakeError(ErrorCode::kBadData,
                     "{}: byte 0: a header of {} bytes, at most {} are accepted", source.Label(),
                     header_bytes, kMaxSafetensorsHeaderBytes);
  }
  if (header_bytes > file_bytes - kLengthBytes) {
    return MakeFixableError(ErrorCode::kBadData, kAgain,
                            "{}: byte 0: a header of {} bytes, the file has {} left",
                            source.Label(), header_bytes, file_bytes - kLengthBytes);
  }
  std::string header(header_bytes, '\0');
  RETURN_IF_ERROR(source.ReadAt(kLengthBytes, std::as_writable_bytes(std::span(header))));
  return header;
}

// The tensors tile the data: no hole, no overlap, and the last one ends where the file does.
Status CheckLayout(const GgufFile& file) {
  const uint64_t data_bytes = file.file_bytes - file.data_offset;
  std::vector<uint32_t> order(file.tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](uint32_t i) {
    return std::tuple(file.tensors[i].file_offset, file.tensors[i].bytes);
  });
  uint64_t end = 0;
  const TensorInfo* before = nullptr;
  for (const uint32_t i : order) {
    const TensorInfo& tensor = file.tensors[i];
    if (tensor.file_offset > data_bytes || tensor.bytes > data_bytes - tensor.file_offset) {
      return MakeFixableError(
          ErrorCode::kBadData, kAgain,
          "{}: tensor {}: {} bytes expected at byte {} of the data, which has {} bytes", file.label,
          Quoted(tensor.name), tensor.bytes, tensor.file_offset, data_bytes);
    }
    if (tensor.file_offset < end) {
      return MakeError(ErrorCode::kBadData,
                       "{}: tensor {} at byte {} of the data overlaps tensor {}, which ends at {}",
                       file.label, Quoted(tensor.name), tensor.file_offset, Quoted(before->name),
                       end);
    }
    if (tensor.file_offset > end) {
      return MakeError(ErrorCode::kBadData,
                       "{}: tensor {}: expected at byte {} of the data, found at {}: a hole",
                       file.label, Quoted(tensor.name), end, tensor.file_offset);
    }
    end += tensor.bytes;
    before = &tensor;
  }
  if (end == data_bytes) return {};
  return MakeError(ErrorCode::kBadData, "{}: expected {} bytes of data, found {} to the file's end",
                   file.label, end, data_bytes);
}

}  // namespace

Result<GgufFile> ParseSafetensors(ByteSource& source) {
  GgufFile file;
  file.format = FileFormat::kSafetensors;
  file.label = source.Label();
  file.version = 0;
  file.alignment = 1;
  file.file_bytes = source.SizeBytes();
  file.metadata = Metadata(file.label);
  ASSIGN_OR_RETURN(const std::string header, ReadHeaderBytes(source));
  file.data_offset = kLengthBytes + header.size();
  RETURN_IF_ERROR(ReadSafetensorsHeader(header, kLengthBytes, &file));
  RETURN_IF_ERROR(CheckLayout(file));
  for (TensorInfo& tensor : file.tensors) tensor.file_offset += file.data_offset;
  return file;
}

}  // namespace llmrun
