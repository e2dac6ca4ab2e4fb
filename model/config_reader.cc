#include "model/config_reader.h"

#include <cmath>
#include <concepts>

#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

// The one value of an integer array whose elements are all equal; nullopt otherwise.
std::optional<uint64_t> UniformValue(const MetaArray& array) {
  if (array.element_type == MetaType::kBool) return std::nullopt;
  return std::visit(
      []<typename T>(const std::vector<T>& values) -> std::optional<uint64_t> {
        if constexpr (std::integral<T>) {
          if (values.empty() || values[0] < T{0}) return std::nullopt;
          for (const T& value : values) {
            if (value != values[0]) return std::nullopt;
          }
          return static_cast<uint64_t>(values[0]);
        }
        return std::nullopt;
      },
      array.data);
}

}  // namespace

std::string ConfigReader::Key(std::string_view key) const {
  return fmt::format("{}.{}", architecture_, key);
}

tl::unexpected<Error> ConfigReader::Fail(ErrorCode code, std::string_view key,
                                         std::string_view message) const {
  return MakeError(code, "{}: key {}: {}", metadata_.label(), Quoted(Key(key)), message);
}

Result<int64_t> ConfigReader::Uint(std::string_view key, UintRange range) const {
  ASSIGN_OR_RETURN(const uint64_t value, metadata_.GetUint(Key(key)));
  if (value < range.min || value > range.max) {
    return Fail(ErrorCode::kBadData, key,
                fmt::format("expected {}..{}, found {}", range.min, range.max, value));
  }
  return static_cast<int64_t>(value);
}

Result<int64_t> ConfigReader::UintOr(std::string_view key, int64_t absent, UintRange range) const {
  if (!Has(key)) return absent;
  return Uint(key, range);
}

Result<int64_t> ConfigReader::UniformUint(std::string_view key, UintRange range) const {
  const MetaEntry* entry = metadata_.Find(Key(key));
  const auto* array = entry == nullptr ? nullptr : std::get_if<MetaArray>(&entry->value);
  if (array == nullptr) return Uint(key, range);
  const std::optional<uint64_t> value = UniformValue(*array);
  if (!value) {
    return Fail(ErrorCode::kUnavailable, key,
                fmt::format("an array of {} {}: models whose layers differ in it are not supported",
                            array->size(), NameOf(array->element_type)));
  }
  if (*value < range.min || *value > range.max) {
    return Fail(ErrorCode::kBadData, key,
                fmt::format("expected {}..{}, found {}", range.min, range.max, *value));
  }
  return static_cast<int64_t>(*value);
}

Result<int64_t> ConfigReader::UniformUintOr(std::string_view key, int64_t absent,
                                            UintRange range) const {
  if (!Has(key)) return absent;
  return UniformUint(key, range);
}

Result<double> ConfigReader::Float(std::string_view key, double min, double max) const {
  ASSIGN_OR_RETURN(const double value, metadata_.GetFloat(Key(key)));
  if (!(value >= min && value <= max)) {  // so written that a NaN fails
    return Fail(ErrorCode::kBadData, key,
                fmt::format("expected {:g}..{:g}, found {:g}", min, max, value));
  }
  return value;
}

Result<double> ConfigReader::FloatOr(std::string_view key, double absent, double min,
                                     double max) const {
  if (!Has(key)) return absent;
  return Float(key, min, max);
}

Result<bool> ConfigReader::BoolOr(std::string_view key, bool absent) const {
  return metadata_.GetBoolOr(Key(key), absent);
}

Result<std::string> ConfigReader::StringOrEmpty(std::string_view key) const {
  if (!Has(key)) return std::string();
  ASSIGN_OR_RETURN(const std::string_view value, metadata_.GetString(Key(key)));
  return std::string(value);
}

}  // namespace llmrun
