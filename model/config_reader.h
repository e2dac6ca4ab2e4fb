// Reads the numbers of one architecture from metadata, each with the range it may have.
// Threads: Single-thread. Must outlive it: the metadata.
// Failure: kBadData in the form "FILE: key 'llama.block_count': expected 1..1024, found 0".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "loader/gguf/metadata.h"

namespace llmrun {

struct UintRange {
  uint64_t min = 1;
  uint64_t max = 1;
};

class ConfigReader {
 public:
  // Keys are looked up as "<architecture>.<key>".
  ConfigReader(const Metadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  std::string Key(std::string_view key) const;
  bool Has(std::string_view key) const { return metadata_.Find(Key(key)) != nullptr; }

  Result<int64_t> Uint(std::string_view key, UintRange range) const;
  Result<int64_t> UintOr(std::string_view key, int64_t absent, UintRange range) const;
  // The same, of a key that may be given once for all layers or as one value a layer; layers that
  // differ are kUnavailable.
  Result<int64_t> UniformUint(std::string_view key, UintRange range) const;
  Result<int64_t> UniformUintOr(std::string_view key, int64_t absent, UintRange range) const;
  // Finite, and in [min, max].
  Result<double> Float(std::string_view key, double min, double max) const;
  Result<double> FloatOr(std::string_view key, double absent, double min, double max) const;
  Result<bool> BoolOr(std::string_view key, bool absent) const;
  // "" when absent.
  Result<std::string> StringOrEmpty(std::string_view key) const;

  // "FILE: key '<architecture>.<key>': <message>".
  tl::unexpected<Error> Fail(ErrorCode code, std::string_view key, std::string_view message) const;

 private:
  const Metadata& metadata_;
  std::string architecture_;
};

}  // namespace llmrun
