// The parts of a JSON schema that are about strings, numbers and counts, as expressions of GBNF.
// Threads: pure functions. Failure: kUsage, beginning with "JSON schema: ".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "text/grammar/schema_merge.h"

namespace llmrun {

template <typename... Args>
tl::unexpected<Error> SchemaError(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kUsage, "JSON schema: {}",
                   fmt::format(format, std::forward<Args>(args)...));
}

// As text, on one line.
std::string ShowSchema(const SchemaJson& json);

struct SchemaCounts {
  uint64_t least = 0;
  std::optional<uint64_t> most;  // absent: any number
};
// The values of two keywords.
Result<SchemaCounts> GetSchemaCounts(const SchemaJson& schema, const char* least, const char* most);

// What the schema accepts of one type. Requires: an object.
Result<std::string> SchemaString(const SchemaJson& schema);
Result<std::string> SchemaInteger(const SchemaJson& schema);
Result<std::string> SchemaNumber(const SchemaJson& schema);

}  // namespace llmrun
