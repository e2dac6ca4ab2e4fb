// The key-value part of a GGUF: keys in file order, found in constant time.
//
// Threads: immutable after parsing; Thread-safe.
// Getters never abort on a wrong type: they say which key, what was wanted and what the file has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "loader/gguf/name_table.h"

namespace llmrun {

// Value type ids of the GGUF specification.
enum class MetaType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};
std::string_view NameOf(MetaType type);  // "u32", "string", ...

// Elements of an array; std::vector<uint8_t> for both u8 and bool. Arrays of arrays are not
// accepted.
using MetaArrayData =
    std::variant<std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>,
                 std::vector<int16_t>, std::vector<uint32_t>, std::vector<int32_t>,
                 std::vector<float>, std::vector<std::string>, std::vector<uint64_t>,
                 std::vector<int64_t>, std::vector<double>>;
struct MetaArray {
  MetaType element_type = MetaType::kUint8;
  MetaArrayData data;
  size_t size() const;
};

using MetaScalar = std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool,
                                std::string, uint64_t, int64_t, double, MetaArray>;

struct MetaEntry {
  std::string key;
  MetaType type = MetaType::kUint8;
  MetaScalar value;
};

class Metadata {
 public:
  // `label` names the file in the errors of the getters; without one they begin with the key.
  explicit Metadata(std::string label = {}) : label_(std::move(label)) {}

  void Reserve(size_t entries);
  // False (and no change) when the key is there already.
  bool Add(MetaEntry entry);

  const std::string& label() const { return label_; }
  const std::vector<MetaEntry>& entries() const { return entries_; }
  const MetaEntry* Find(std::string_view key) const;  // nullptr when absent

  // Any integer type that fits; kBadData when absent, of another type, negative or too large.
  Result<uint64_t> GetUint(std::string_view key) const;
  Result<uint64_t> GetUintOr(std::string_view key, uint64_t absent) const;
  Result<double> GetFloat(std::string_view key) const;  // f32, f64 or any integer
  Result<double> GetFloatOr(std::string_view key, double absent) const;
  Result<bool> GetBoolOr(std::string_view key, bool absent) const;
  Result<std::string_view> GetString(std::string_view key) const;
  Result<const MetaArray*> GetArray(std::string_view key) const;

 private:
  Result<const MetaEntry*> Require(std::string_view key) const;
  tl::unexpected<Error> WrongValue(const MetaEntry& entry, std::string_view expected) const;

  std::string label_;
  std::vector<MetaEntry> entries_;
  NameTable index_;
};

}  // namespace llmrun
