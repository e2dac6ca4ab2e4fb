// One schema that accepts what several accept together (allOf).
// Threads: pure functions.
// Failure: kUsage where the schemas say different things under a keyword that cannot be joined.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"

namespace llmrun {

using SchemaJson = nlohmann::ordered_json;

// Keywords that say something to people and constrain nothing.
bool IsAnnotation(std::string_view keyword);

// Adds the keywords of `schema` to those of `*into`. Requires: objects.
Status MergeSchema(const SchemaJson& schema, SchemaJson* into);

}  // namespace llmrun
