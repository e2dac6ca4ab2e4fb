#include "loader/gguf/gguf_writer.h"

#include <algorithm>
#include <concepts>
#include <cstring>

#include "base/check.h"
#include "base/checked.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

class HeaderBytes {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void Put(T value) { Append(std::as_bytes(std::span(&value, 1))); }
  void Put(const std::string& text) {
    Put(uint64_t{text.size()});
    Append(std::as_bytes(std::span(text)));
  }
  void Put(const MetaArray& array) {
    Put(static_cast<uint32_t>(array.element_type));
    Put(uint64_t{array.size()});
    std::visit(
        [&](const auto& elements) {
          for (const auto& e : elements) Put(e);
        },
        array.data);
  }
  void PadTo(uint64_t alignment) { bytes_.resize(AlignUp(bytes_.size(), alignment)); }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  void Append(std::span<const std::byte> part) {
    const size_t at = bytes_.size();
    bytes_.resize(at + part.size());
    if (!part.empty()) std::memcpy(bytes_.data() + at, part.data(), part.size());
  }

  std::vector<std::byte> bytes_;
};

}  // namespace

GgufWriter::GgufWriter(uint32_t alignment) : alignment_(alignment) {
  CHECK(IsPowerOfTwo(alignment));
  constexpr uint32_t kDefault = 32;
  if (alignment != kDefault) AddUint32("general.alignment", alignment);
}

void GgufWriter::Add(std::string key, MetaType type, MetaScalar value) {
  entries_.push_back({std::move(key), type, std::move(value)});
}

void GgufWriter::AddString(std::string key, std::string value) {
  Add(std::move(key), MetaType::kString, std::move(value));
}

void GgufWriter::AddUint32(std::string key, uint32_t value) {
  Add(std::move(key), MetaType::kUint32, value);
}

void GgufWriter::AddFloat32(std::string key, float value) {
  Add(std::move(key), MetaType::kFloat32, value);
}

void GgufWriter::AddBool(std::string key, bool value) {
  Add(std::move(key), MetaType::kBool, value);
}

void GgufWriter::AddFrom(const Metadata& metadata, FunctionRef<bool(std::string_view key)> wanted) {
  for (const MetaEntry& entry : metadata.entries()) {
    if (entry.key != "general.alignment" && wanted(entry.key)) entries_.push_back(entry);
  }
}

Status GgufWriter::AddTensor(std::string name, DType dtype, std::vector<uint64_t> dims) {
  if (dims.empty() || dims.size() > kMaxDims) {
    return MakeError(ErrorCode::kBadData, "tensor {}: {} dimensions, 1 to {} are possible",
                     Quoted(name), dims.size(), kMaxDims);
  }
  Dims padded = {1, 1, 1, 1};
  std::ranges::copy(dims, padded.begin());
  const Result<uint64_t> bytes = TensorBytes(dtype, padded);
  uint64_t end = 0;
  if (!bytes || !CheckedAdd(data_bytes_, *bytes, &end) || !CheckedAlignUp(end, alignment_, &end)) {
    return MakeError(ErrorCode::kBadData, "tensor {}: {}", Quoted(name),
                     bytes ? "the data size overflows" : bytes.error().message);
  }
  tensors_.push_back({std::move(name), dtype, std::move(dims), data_bytes_, *bytes});
  data_bytes_ = end;
  return {};
}

std::vector<std::byte> GgufWriter::Header() const {
  HeaderBytes out;
  out.Put(uint32_t{0x46554747});  // "GGUF"
  out.Put(uint32_t{3});
  out.Put(uint64_t{tensors_.size()});
  out.Put(uint64_t{entries_.size()});
  for (const MetaEntry& entry : entries_) {
    out.Put(entry.key);
    out.Put(static_cast<uint32_t>(entry.type));
    std::visit([&](const auto& value) { out.Put(value); }, entry.value);
  }
  for (const Tensor& tensor : tensors_) {
    out.Put(tensor.name);
    out.Put(static_cast<uint32_t>(tensor.dims.size()));
    for (const uint64_t dim : tensor.dims) out.Put(dim);
    out.Put(static_cast<uint32_t>(tensor.dtype));
    out.Put(tensor.offset);
  }
  out.PadTo(alignment_);
  return out.Take();
}

}  // namespace llmrun
