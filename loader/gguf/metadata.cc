#include "loader/gguf/metadata.h"

#include <cmath>
#include <concepts>
#include <optional>
#include <type_traits>

#include "base/check.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

// Integers, but not bool, which GGUF keeps apart.
template <typename T>
concept MetaInteger = std::integral<T> && !std::same_as<T, bool>;

// The value as an unsigned integer; nullopt when it is negative or no integer.
std::optional<uint64_t> AsUint(const MetaScalar& scalar) {
  return std::visit(
      []<typename T>(const T& value) -> std::optional<uint64_t> {
        if constexpr (MetaInteger<T>) {
          if (std::is_unsigned_v<T> || value >= 0) return static_cast<uint64_t>(value);
        }
        return std::nullopt;
      },
      scalar);
}

std::optional<double> AsDouble(const MetaScalar& scalar) {
  return std::visit(
      []<typename T>(const T& value) -> std::optional<double> {
        if constexpr (MetaInteger<T> || std::floating_point<T>) return static_cast<double>(value);
        return std::nullopt;
      },
      scalar);
}

// What an entry holds, for messages: "i32 -1", "string", "array of 3 f32".
std::string Describe(const MetaEntry& entry) {
  if (const auto* array = std::get_if<MetaArray>(&entry.value)) {
    return fmt::format("array of {} {}", array->size(), NameOf(array->element_type));
  }
  const std::string_view type = NameOf(entry.type);
  return std::visit(
      [&]<typename T>(const T& value) -> std::string {
        if constexpr (std::is_arithmetic_v<T>) return fmt::format("{} {}", type, value);
        return std::string(type);
      },
      entry.value);
}

}  // namespace

std::string_view NameOf(MetaType type) {
  switch (type) {
    case MetaType::kUint8:
      return "u8";
    case MetaType::kInt8:
      return "i8";
    case MetaType::kUint16:
      return "u16";
    case MetaType::kInt16:
      return "i16";
    case MetaType::kUint32:
      return "u32";
    case MetaType::kInt32:
      return "i32";
    case MetaType::kFloat32:
      return "f32";
    case MetaType::kBool:
      return "bool";
    case MetaType::kString:
      return "string";
    case MetaType::kArray:
      return "array";
    case MetaType::kUint64:
      return "u64";
    case MetaType::kInt64:
      return "i64";
    case MetaType::kFloat64:
      return "f64";
  }
  return "unknown";
}

size_t MetaArray::size() const {
  return std::visit([](const auto& elements) { return elements.size(); }, data);
}

void Metadata::Reserve(size_t entries) {
  entries_.reserve(entries);
  index_.Reserve(entries);
}

bool Metadata::Add(MetaEntry entry) {
  CHECK(entries_.size() < UINT32_MAX);
  const auto name_of = [&](uint32_t i) -> const std::string& { return entries_[i].key; };
  if (!index_.Insert(entry.key, static_cast<uint32_t>(entries_.size()), name_of)) return false;
  entries_.push_back(std::move(entry));
  return true;
}

const MetaEntry* Metadata::Find(std::string_view key) const {
  const auto name_of = [&](uint32_t i) -> const std::string& { return entries_[i].key; };
  const std::optional<uint32_t> at = index_.Find(key, name_of);
  return at ? &entries_[*at] : nullptr;
}

Result<const MetaEntry*> Metadata::Require(std::string_view key) const {
  const MetaEntry* entry = Find(key);
  if (entry != nullptr) return entry;
  return MakeError(ErrorCode::kBadData, "{}{}key {} is missing", label_, label_.empty() ? "" : ": ",
                   Quoted(key));
}

tl::unexpected<Error> Metadata::WrongValue(const MetaEntry& entry,
                                           std::string_view expected) const {
  return MakeError(ErrorCode::kBadData, "{}{}key {}: expected {}, found {}", label_,
                   label_.empty() ? "" : ": ", Quoted(entry.key), expected, Describe(entry));
}

Result<uint64_t> Metadata::GetUint(std::string_view key) const {
  ASSIGN_OR_RETURN(const MetaEntry* entry, Require(key));
  const std::optional<uint64_t> value = AsUint(entry->value);
  if (!value) return WrongValue(*entry, "an integer of at least 0");
  return *value;
}

Result<uint64_t> Metadata::GetUintOr(std::string_view key, uint64_t absent) const {
  if (Find(key) == nullptr) return absent;
  return GetUint(key);
}

Result<double> Metadata::GetFloat(std::string_view key) const {
  ASSIGN_OR_RETURN(const MetaEntry* entry, Require(key));
  const std::optional<double> value = AsDouble(entry->value);
  if (!value) return WrongValue(*entry, "a number");
  return *value;
}

Result<double> Metadata::GetFloatOr(std::string_view key, double absent) const {
  if (Find(key) == nullptr) return absent;
  return GetFloat(key);
}

Result<bool> Metadata::GetBoolOr(std::string_view key, bool absent) const {
  const MetaEntry* entry = Find(key);
  if (entry == nullptr) return absent;
  const bool* value = std::get_if<bool>(&entry->value);
  if (value == nullptr) return WrongValue(*entry, "a bool");
  return *value;
}

Result<std::string_view> Metadata::GetString(std::string_view key) const {
  ASSIGN_OR_RETURN(const MetaEntry* entry, Require(key));
  const std::string* value = std::get_if<std::string>(&entry->value);
  if (value == nullptr) return WrongValue(*entry, "a string");
  return std::string_view(*value);
}

Result<const MetaArray*> Metadata::GetArray(std::string_view key) const {
  ASSIGN_OR_RETURN(const MetaEntry* entry, Require(key));
  const MetaArray* value = std::get_if<MetaArray>(&entry->value);
  if (value == nullptr) return WrongValue(*entry, "an array");
  return value;
}

}  // namespace llmrun
