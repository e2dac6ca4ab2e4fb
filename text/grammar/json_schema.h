// A JSON schema as a grammar (GBNF): its texts are JSON documents that the schema accepts. Not
// every such document: properties come in the schema's order, other properties only where
// additionalProperties allows them, numbers have at most 18 digits in front of their point, those
// with bounds no exponent, and white space is short.
//
// Understood: type, enum, const, properties, required, additionalProperties, items, prefixItems,
// minItems, maxItems, anyOf, oneOf (as anyOf: what several accept comes, too), allOf (where schemas
// can be joined), $ref into the same document, minLength, maxLength, pattern (anchored; no
// look-around), format (date, time, date-time, uuid), minimum, maximum, exclusiveMinimum and
// exclusiveMaximum.
//
// Source: JSON Schema 2020-12, RFC 8259. Threads: pure functions.
// Failure: kUsage, with the place in the schema, for text that is no JSON, for keywords and values
// that are not understood and would constrain, and for schemas that nothing satisfies; kResource
// for nesting deeper than kMaxSchemaDepth and for too many parts.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace llmrun {

inline constexpr int kMaxSchemaDepth = 128;
inline constexpr int kMaxSchemaParts = 50'000;

// The rule `root` is the document.
Result<std::string> JsonSchemaToGbnf(std::string_view json);

}  // namespace llmrun
