#include "loader/safetensors/header_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "loader/gguf/name_table.h"
#include "loader/gguf/printable.h"
#include "loader/safetensors/json_events.h"

namespace llmrun {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";

// Names of element types are those of memory/dtype.h; types made of blocks are GGUF's alone.
std::optional<DType> ParsePlainType(std::string_view name) {
  for (const BlockTraits& traits : AllBlockTraits()) {
    if (traits.name == name && traits.block_elems == 1) return traits.type;
  }
  return std::nullopt;
}

// {"__metadata__": {"key": "text", ...}, "name": {"dtype": "F32", "shape": [2, 3],
//  "data_offsets": [0, 24]}, ...}
class HeaderReader final : public JsonEvents {
 public:
  HeaderReader(GgufFile* file, uint64_t max_tensors) : file_(*file), max_tensors_(max_tensors) {}

  Status OpenObject() override;
  Status Key(std::string name) override;
  Status CloseObject() override;
  Status OpenArray() override;
  Status CloseArray() override;
  Status Text(std::string text) override;
  Status Number(uint64_t number) override;
  Status Other(std::string_view what) override { return Unexpected(what); }

 private:
  enum class Place : uint8_t { kOutside, kHeader, kMetadata, kTensor, kShape, kOffsets };
  // What the header says of one tensor.
  struct Entry {
    std::optional<std::string> dtype;
    std::optional<std::vector<uint64_t>> shape;  // outermost first
    std::optional<std::vector<uint64_t>> offsets;
  };

  Status TensorKey();
  Status AddTensor();
  Status CheckComplete() const;
  Result<uint64_t> BytesOf(const TensorInfo& tensor) const;

  template <typename... Args>
  tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) const {
    return FailWith(ErrorCode::kBadData, fmt::format(format, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> FailWith(ErrorCode code, std::string_view message) const;
  tl::unexpected<Error> Unexpected(std::string_view found) const;

  GgufFile& file_;
  const uint64_t max_tensors_;
  NameTable names_;
  Place place_ = Place::kOutside;
  std::string name_;   // the key in the header: of a tensor, or "__metadata__"
  std::string field_;  // the key inside of that
  bool has_metadata_ = false;
  Entry entry_;
};

tl::unexpected<Error> HeaderReader::FailWith(ErrorCode code, std::string_view message) const {
  if (place_ == Place::kOutside) return MakeError(code, "{}: header: {}", file_.label, message);
  const char* kind = name_ == kMetadataKey ? "key" : "tensor";
  return MakeError(code, "{}: header: {} {}: {}", file_.label, kind, Quoted(name_), message);
}

tl::unexpected<Error> HeaderReader::Unexpected(std::string_view found) const {
  switch (place_) {
    case Place::kOutside:
      return Fail("expected one object of tensors, found {}", found);
    case Place::kHeader:
      return Fail("expected an object, found {}", found);
    case Place::kMetadata:
      return Fail("{}: expected a string, found {}", Quoted(field_), found);
    case Place::kShape:
    case Place::kOffsets:
      return Fail("{}: expected whole numbers below 2^64, found {}", field_, found);
    case Place::kTensor:
      break;
  }
  return Fail("{}: expected {}, found {}", field_, field_ == "dtype" ? "a string" : "an array",
              found);
}

Status HeaderReader::OpenObject() {
  if (place_ == Place::kOutside) {
    place_ = Place::kHeader;
  } else if (place_ != Place::kHeader) {
    return Unexpected("an object");
  } else if (name_ == kMetadataKey) {
    place_ = Place::kMetadata;
  } else {
    place_ = Place::kTensor;
    entry_ = {};
  }
  return {};
}

Status HeaderReader::Key(std::string name) {
  if (place_ != Place::kHeader) {
    field_ = std::move(name);
    return place_ == Place::kTensor ? TensorKey() : Status();
  }
  name_ = std::move(name);
  if (name_ == kMetadataKey) {
    if (std::exchange(has_metadata_, true)) return Fail("it is there twice");
    return {};
  }
  if (name_.empty()) return Fail("the name is empty");
  const auto name_of = [&](uint32_t i) -> const std::string& { return file_.tensors[i].name; };
  if (names_.Find(name_, name_of)) return Fail("it is there twice");
  if (file_.tensors.size() == max_tensors_) return Fail("more than {} tensors", max_tensors_);
  return {};
}

Status HeaderReader::TensorKey() {
  const bool known = field_ == "dtype" || field_ == "shape" || field_ == "data_offsets";
  if (!known) return Fail("expected dtype, shape and data_offsets, found {}", Quoted(field_));
  const bool twice = (field_ == "dtype" && entry_.dtype) || (field_ == "shape" && entry_.shape) ||
                     (field_ == "data_offsets" && entry_.offsets);
  if (twice) return Fail("{} is there twice", field_);
  return {};
}

Status HeaderReader::CloseObject() {
  if (place_ == Place::kTensor) RETURN_IF_ERROR(AddTensor());
  place_ = place_ == Place::kHeader ? Place::kOutside : Place::kHeader;
  return {};
}

Status HeaderReader::OpenArray() {
  if (place_ == Place::kTensor && field_ == "shape") {
    entry_.shape.emplace();
    place_ = Place::kShape;
  } else if (place_ == Place::kTensor && field_ == "data_offsets") {
    entry_.offsets.emplace();
    place_ = Place::kOffsets;
  } else {
    return Unexpected("an array");
  }
  return {};
}

Status HeaderReader::CloseArray() {
  if (place_ == Place::kOffsets && entry_.offsets->size() != 2) {
    return Fail("data_offsets: expected 2 numbers, found {}", entry_.offsets->size());
  }
  place_ = Place::kTensor;
  return {};
}

Status HeaderReader::Text(std::string text) {
  if (place_ == Place::kTensor && field_ == "dtype") {
    entry_.dtype = std::move(text);
    return {};
  }
  if (place_ != Place::kMetadata) return Unexpected("a string");
  if (!file_.metadata.Add({field_, MetaType::kString, std::move(text)})) {
    return Fail("{} is there twice", Quoted(field_));
  }
  return {};
}

Status HeaderReader::Number(uint64_t number) {
  if (place_ == Place::kShape) {
    if (entry_.shape->size() == kMaxDims) {
      return FailWith(ErrorCode::kUnavailable,
                      fmt::format("more than {} dimensions, which is not supported", kMaxDims));
    }
    entry_.shape->push_back(number);
  } else if (place_ == Place::kOffsets) {
    if (entry_.offsets->size() == 2) return Fail("data_offsets: expected 2 numbers, found more");
    entry_.offsets->push_back(number);
  } else {
    return Unexpected("a number");
  }
  return {};
}

Status HeaderReader::CheckComplete() const {
  if (!entry_.dtype) return Fail("it has no dtype");
  if (!entry_.shape) return Fail("it has no shape");
  if (!entry_.offsets) return Fail("it has no data_offsets");
  const uint64_t begin = entry_.offsets->at(0);
  const uint64_t end = entry_.offsets->at(1);
  if (begin > end) return Fail("data_offsets: it begins at {} and ends before, at {}", begin, end);
  return {};
}

// Zero-sized tensors are allowed here, though not in a GGUF.
Result<uint64_t> HeaderReader::BytesOf(const TensorInfo& tensor) const {
  if (std::ranges::find(tensor.dims, 0U) != tensor.dims.end()) return 0;
  const Result<uint64_t> bytes = TensorBytes(tensor.dtype, tensor.dims);
  if (!bytes) return Fail("{}", bytes.error().message);
  return *bytes;
}

Status HeaderReader::AddTensor() {
  RETURN_IF_ERROR(CheckComplete());
  TensorInfo tensor;
  tensor.name = name_;
  const std::optional<DType> dtype = ParsePlainType(*entry_.dtype);
  if (!dtype) return Fail("unknown dtype {}", Quoted(*entry_.dtype));
  tensor.dtype = *dtype;
  tensor.n_dims = static_cast<int>(entry_.shape->size());  // 0: a scalar
  std::ranges::reverse_copy(*entry_.shape, tensor.dims.begin());
  ASSIGN_OR_RETURN(tensor.bytes, BytesOf(tensor));
  tensor.file_offset = entry_.offsets->at(0);
  const uint64_t offsets_bytes = entry_.offsets->at(1) - tensor.file_offset;
  if (offsets_bytes != tensor.bytes) {
    return Fail("expected {} bytes for [{}] of {}, found {} from data_offsets {} to {}",
                tensor.bytes, fmt::join(*entry_.shape, ", "), *entry_.dtype, offsets_bytes,
                tensor.file_offset, entry_.offsets->at(1));
  }
  file_.tensors.push_back(std::move(tensor));
  const auto name_of = [&](uint32_t i) -> const std::string& { return file_.tensors[i].name; };
  names_.Insert(name_, static_cast<uint32_t>(file_.tensors.size() - 1), name_of);
  return {};
}

}  // namespace

Status ReadSafetensorsHeader(std::string_view json, uint64_t first_byte, GgufFile* file,
                             uint64_t max_tensors) {
  HeaderReader reader(file, max_tensors);
  return ParseJson(json, file->label, first_byte, reader);
}

}  // namespace llmrun
