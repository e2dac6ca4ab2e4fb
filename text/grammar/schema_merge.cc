#include "text/grammar/schema_merge.h"

#include <algorithm>
#include <string>

namespace llmrun {

namespace {

// The properties of both; one that both have must be the same.
Status MergeProperties(const SchemaJson& properties, SchemaJson* into) {
  for (const auto& [name, schema] : properties.items()) {
    if (into->contains(name) && (*into)[name] != schema) {
      return MakeError(ErrorCode::kUsage, "allOf: the property '{}' is described twice", name);
    }
    (*into)[name] = schema;
  }
  return {};
}

void MergeRequired(const SchemaJson& required, SchemaJson* into) {
  for (const SchemaJson& name : required) {
    if (std::find(into->begin(), into->end(), name) == into->end()) into->push_back(name);
  }
}

}  // namespace

bool IsAnnotation(std::string_view keyword) {
  constexpr std::string_view kAnnotations[] = {
      "$schema",     "$id",     "$comment", "$defs",      "definitions", "$anchor",  "title",
      "description", "default", "examples", "deprecated", "readOnly",    "writeOnly"};
  return keyword.starts_with("x-") || std::find(std::begin(kAnnotations), std::end(kAnnotations),
                                                keyword) != std::end(kAnnotations);
}

Status MergeSchema(const SchemaJson& schema, SchemaJson* into) {
  for (const auto& [keyword, value] : schema.items()) {
    if (IsAnnotation(keyword)) continue;
    if (!into->contains(keyword)) {
      (*into)[keyword] = value;
      continue;
    }
    SchemaJson& there = (*into)[keyword];
    if (there == value) continue;
    const bool objects = value.is_object() && there.is_object();
    const bool arrays = value.is_array() && there.is_array();
    if (keyword == "properties" && objects) {
      RETURN_IF_ERROR(MergeProperties(value, &there));
    } else if (keyword == "required" && arrays) {
      MergeRequired(value, &there);
    } else {
      return MakeError(ErrorCode::kUsage, "allOf: two schemas differ in '{}', which is not joined",
                       keyword);
    }
  }
  return {};
}

}  // namespace llmrun
