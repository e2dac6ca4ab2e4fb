#include <algorithm>

#include "loader/gguf/parse_parts.h"

namespace llmrun {
namespace {

Status ReadString(GgufCursor& cursor, const GgufLimits& limits, std::string* out) {
  ASSIGN_OR_RETURN(*out, cursor.ReadString(limits.max_string_bytes, "a string value"));
  return {};
}

Status CheckBool(const GgufCursor& cursor, uint8_t value) {
  if (value > 1) return cursor.Fail("a bool is 0 or 1, found {}", value);
  return {};
}

template <typename T>
Status ReadElements(GgufCursor& cursor, uint64_t count, MetaArrayData* data) {
  RETURN_IF_ERROR(cursor.ExpectRoom(count, sizeof(T), "array elements"));
  std::vector<T>& elements = data->emplace<std::vector<T>>(count);
  return cursor.ReadBytes(std::as_writable_bytes(std::span(elements)), "the array elements");
}

Status ReadStrings(GgufCursor& cursor, const GgufLimits& limits, uint64_t count,
                   MetaArrayData* data) {
  constexpr uint64_t kMinStringBytes = sizeof(uint64_t);
  RETURN_IF_ERROR(cursor.ExpectRoom(count, kMinStringBytes, "array elements"));
  std::vector<std::string>& strings = data->emplace<std::vector<std::string>>();
  strings.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    RETURN_IF_ERROR(ReadString(cursor, limits, &strings.emplace_back()));
  }
  return {};
}

Status ReadBools(GgufCursor& cursor, uint64_t count, MetaArrayData* data) {
  RETURN_IF_ERROR(ReadElements<uint8_t>(cursor, count, data));
  for (const uint8_t value : std::get<std::vector<uint8_t>>(*data)) {
    RETURN_IF_ERROR(CheckBool(cursor, value));
  }
  return {};
}

Status ReadArray(GgufCursor& cursor, const GgufLimits& limits, MetaArray* array) {
  ASSIGN_OR_RETURN(const uint32_t type, cursor.Read<uint32_t>("the element type"));
  array->element_type = static_cast<MetaType>(type);
  if (array->element_type == MetaType::kArray) return cursor.Fail("an array of arrays");
  if (type > static_cast<uint32_t>(MetaType::kFloat64)) {
    return cursor.Fail("unknown element type {} of an array", type);
  }
  ASSIGN_OR_RETURN(const uint64_t count, cursor.Read<uint64_t>("the element count"));
  if (count > limits.max_array_elems) {
    return cursor.Fail("an array of {} elements, at most {} are accepted", count,
                       limits.max_array_elems);
  }
  switch (array->element_type) {
    case MetaType::kUint8:
      return ReadElements<uint8_t>(cursor, count, &array->data);
    case MetaType::kInt8:
      return ReadElements<int8_t>(cursor, count, &array->data);
    case MetaType::kUint16:
      return ReadElements<uint16_t>(cursor, count, &array->data);
    case MetaType::kInt16:
      return ReadElements<int16_t>(cursor, count, &array->data);
    case MetaType::kUint32:
      return ReadElements<uint32_t>(cursor, count, &array->data);
    case MetaType::kInt32:
      return ReadElements<int32_t>(cursor, count, &array->data);
    case MetaType::kFloat32:
      return ReadElements<float>(cursor, count, &array->data);
    case MetaType::kBool:
      return ReadBools(cursor, count, &array->data);
    case MetaType::kString:
      return ReadStrings(cursor, limits, count, &array->data);
    case MetaType::kUint64:
      return ReadElements<uint64_t>(cursor, count, &array->data);
    case MetaType::kInt64:
      return ReadElements<int64_t>(cursor, count, &array->data);
    case MetaType::kFloat64:
      return ReadElements<double>(cursor, count, &array->data);
    case MetaType::kArray:
      break;
  }
  return cursor.Fail("unknown element type {} of an array", type);
}

template <typename T>
Status ReadNumber(GgufCursor& cursor, MetaScalar* value) {
  ASSIGN_OR_RETURN(*value, cursor.Read<T>("the value"));
  return {};
}

Status ReadBool(GgufCursor& cursor, MetaScalar* value) {
  ASSIGN_OR_RETURN(const uint8_t byte, cursor.Read<uint8_t>("the value"));
  RETURN_IF_ERROR(CheckBool(cursor, byte));
  *value = byte == 1;
  return {};
}

Status ReadValue(GgufCursor& cursor, const GgufLimits& limits, MetaEntry* entry) {
  switch (entry->type) {
    case MetaType::kUint8:
      return ReadNumber<uint8_t>(cursor, &entry->value);
    case MetaType::kInt8:
      return ReadNumber<int8_t>(cursor, &entry->value);
    case MetaType::kUint16:
      return ReadNumber<uint16_t>(cursor, &entry->value);
    case MetaType::kInt16:
      return ReadNumber<int16_t>(cursor, &entry->value);
    case MetaType::kUint32:
      return ReadNumber<uint32_t>(cursor, &entry->value);
    case MetaType::kInt32:
      return ReadNumber<int32_t>(cursor, &entry->value);
    case MetaType::kFloat32:
      return ReadNumber<float>(cursor, &entry->value);
    case MetaType::kBool:
      return ReadBool(cursor, &entry->value);
    case MetaType::kString:
      return ReadString(cursor, limits, &entry->value.emplace<std::string>());
    case MetaType::kArray:
      return ReadArray(cursor, limits, &entry->value.emplace<MetaArray>());
    case MetaType::kUint64:
      return ReadNumber<uint64_t>(cursor, &entry->value);
    case MetaType::kInt64:
      return ReadNumber<int64_t>(cursor, &entry->value);
    case MetaType::kFloat64:
      return ReadNumber<double>(cursor, &entry->value);
  }
  return cursor.Fail("unknown value type {}", static_cast<uint32_t>(entry->type));
}

}  // namespace

Status ReadMetadata(GgufCursor& cursor, uint64_t count, const GgufLimits& limits,
                    Metadata* metadata) {
  RETURN_IF_ERROR(cursor.ExpectRoom(count, kMinEntryBytes, "metadata entries"));
  metadata->Reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    cursor.EnterEntry("metadata entry", "key", i, count);
    MetaEntry entry;
    const uint64_t entry_at = cursor.position();
    ASSIGN_OR_RETURN(entry.key, cursor.ReadString(limits.max_key_bytes, "the key"));
    if (entry.key.empty()) return cursor.Fail("the key is empty");
    cursor.NameEntry(entry.key);
    ASSIGN_OR_RETURN(const uint32_t type, cursor.Read<uint32_t>("the value type"));
    entry.type = static_cast<MetaType>(type);
    RETURN_IF_ERROR(ReadValue(cursor, limits, &entry));
    if (!metadata->Add(std::move(entry))) {
      return cursor.Fail("the key is there twice (the second one at byte {})", entry_at);
    }
  }
  cursor.LeaveEntry();
  return {};
}

}  // namespace llmrun
