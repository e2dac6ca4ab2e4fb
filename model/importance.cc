#include "model/importance.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "loader/gguf/gguf.h"
#include "loader/gguf/printable.h"
#include "loader/io/file_byte_source.h"

namespace llmrun {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr uint64_t kMaxFileBytes = uint64_t{4} << 30;

// The fields of a .dat file, one after the other.
class FieldReader {
 public:
  explicit FieldReader(ByteSource& source) : source_(source) {}

  Result<uint32_t> Count(const char* what) {
    int32_t value = 0;
    RETURN_IF_ERROR(Read(std::as_writable_bytes(std::span(&value, 1)), what));
    if (value >= 0) return static_cast<uint32_t>(value);
    return MakeError(ErrorCode::kBadData, "{}: {} is {}, at byte {}", source_.Label(), what, value,
                     at_ - sizeof value);
  }
  Status Read(std::span<std::byte> out, const char* what) {
    if (out.size() > source_.SizeBytes() - at_) return TooShort(out.size(), what);
    RETURN_IF_ERROR(source_.ReadAt(at_, out));
    at_ += out.size();
    return {};
  }
  // Whether so many bytes are there, before memory is made for them.
  Status Expect(uint64_t bytes, const char* what) {
    if (bytes > source_.SizeBytes() - at_) return TooShort(bytes, what);
    return {};
  }

 private:
  Status TooShort(uint64_t bytes, const char* what) const {
    return MakeError(ErrorCode::kBadData, "{}: {}: {} bytes expected at byte {}, the file has {}",
                     source_.Label(), what, bytes, at_, source_.SizeBytes());
  }

  ByteSource& source_;
  uint64_t at_ = 0;
};

Result<std::vector<float>> FloatsOf(ByteSource& source, const TensorInfo& tensor) {
  if (tensor.dtype != DType::kF32) {
    return MakeError(ErrorCode::kBadData, "{}: tensor {} is {}, F32 is expected", source.Label(),
                     Quoted(tensor.name), NameOf(tensor.dtype));
  }
  std::vector<float> values(tensor.bytes / sizeof(float));
  RETURN_IF_ERROR(source.ReadAt(tensor.file_offset, std::as_writable_bytes(std::span(values))));
  return values;
}

}  // namespace

// Sums over calls, [counts.size()][columns]; matrices that nothing came through weigh alike.
Status ImportanceMatrix::AddEntry(const std::string& name, std::vector<float> sums,
                                  std::span<const float> counts) {
  if (counts.empty() || sums.empty() || sums.size() % counts.size() != 0) {
    return MakeError(ErrorCode::kBadData, "{}: {}: {} sums of {} matrices", label_, Quoted(name),
                     sums.size(), counts.size());
  }
  const size_t columns = sums.size() / counts.size();
  for (size_t i = 0; i < sums.size(); ++i) {
    const float count = counts[i / columns];
    sums[i] = count > 0 ? sums[i] / count : 1;
    if (std::isfinite(sums[i]) && sums[i] >= 0) continue;
    return MakeError(ErrorCode::kBadData, "{}: {}: the importance of column {} is {}", label_,
                     Quoted(name), i % columns, sums[i]);
  }
  if (entries_.emplace(name, std::move(sums)).second) return {};
  return MakeError(ErrorCode::kBadData, "{}: {} is there twice", label_, Quoted(name));
}

Status ImportanceMatrix::ParseGgufFile(ByteSource& source) {
  ASSIGN_OR_RETURN(const GgufFile file, ParseGguf(source));
  std::map<std::string, const TensorInfo*> tensors;
  for (const TensorInfo& tensor : file.tensors) tensors[tensor.name] = &tensor;
  for (const TensorInfo& tensor : file.tensors) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    const auto counts = tensors.find(name + std::string(kCounts));
    if (counts == tensors.end()) {
      return MakeError(ErrorCode::kBadData, "{}: {} has sums, but no counts", label_, Quoted(name));
    }
    ASSIGN_OR_RETURN(std::vector<float> sums, FloatsOf(source, tensor));
    ASSIGN_OR_RETURN(const std::vector<float> count_values, FloatsOf(source, *counts->second));
    RETURN_IF_ERROR(AddEntry(name, std::move(sums), count_values));
  }
  return {};
}

Status ImportanceMatrix::ParseDat(ByteSource& source) {
  constexpr uint32_t kMaxNameBytes = 256;
  FieldReader reader(source);
  ASSIGN_OR_RETURN(const uint32_t entries, reader.Count("the number of entries"));
  for (uint32_t i = 0; i < entries; ++i) {
    ASSIGN_OR_RETURN(const uint32_t length, reader.Count("the length of a name"));
    if (length > kMaxNameBytes) {
      return MakeError(ErrorCode::kBadData,
                       "{}: the name of entry {} has {} bytes, at most {} are "
                       "accepted",
                       label_, i, length, kMaxNameBytes);
    }
    std::string name(length, '\0');
    RETURN_IF_ERROR(reader.Read(std::as_writable_bytes(std::span(name)), "a name"));
    ASSIGN_OR_RETURN(const uint32_t calls, reader.Count("the number of calls"));
    ASSIGN_OR_RETURN(const uint32_t n, reader.Count("the number of values"));
    RETURN_IF_ERROR(reader.Expect(uint64_t{n} * sizeof(float), "values"));
    std::vector<float> sums(n);
    RETURN_IF_ERROR(reader.Read(std::as_writable_bytes(std::span(sums)), "values"));
    const float count = calls > 0 ? static_cast<float>(calls) : 1;
    RETURN_IF_ERROR(AddEntry(name, std::move(sums), std::span(&count, 1)));
  }
  return {};
}

Result<ImportanceMatrix> ImportanceMatrix::Parse(ByteSource& source) {
  ImportanceMatrix matrix;
  matrix.label_ = source.Label();
  if (source.SizeBytes() > kMaxFileBytes) {
    return MakeError(ErrorCode::kBadData, "{}: {} bytes, at most {} are accepted", source.Label(),
                     source.SizeBytes(), kMaxFileBytes);
  }
  std::array<char, 4> magic{};
  if (source.SizeBytes() < magic.size()) {
    return MakeError(ErrorCode::kBadData, "{}: {} bytes, no importance matrix", source.Label(),
                     source.SizeBytes());
  }
  RETURN_IF_ERROR(source.ReadAt(0, std::as_writable_bytes(std::span(magic))));
  const bool is_gguf = std::string_view(magic.data(), magic.size()) == "GGUF";
  RETURN_IF_ERROR(is_gguf ? matrix.ParseGgufFile(source) : matrix.ParseDat(source));
  if (!matrix.entries_.empty()) return matrix;
  return MakeError(ErrorCode::kBadData, "{}: no entries: not an importance matrix", source.Label());
}

Result<ImportanceMatrix> ImportanceMatrix::Open(const std::string& path) {
  ASSIGN_OR_RETURN(const auto source, FileByteSource::Open(path));
  return Parse(*source);
}

Result<const float*> ImportanceMatrix::Find(const std::string& tensor, uint64_t columns,
                                            uint64_t slice, uint64_t slices) const {
  const auto it = entries_.find(tensor);
  if (it == entries_.end()) return nullptr;
  const std::vector<float>& values = it->second;
  // Older files have one row of sums for all matrices of a tensor.
  if (values.size() == columns) return values.data();
  if (values.size() == columns * slices) return values.data() + slice * columns;
  return MakeFixableError(ErrorCode::kBadData, "an importance matrix of this model",
                          "{}: {} has {} values, the tensor {} columns and {} matrices", label_,
                          Quoted(tensor), values.size(), columns, slices);
}

}  // namespace llmrun
