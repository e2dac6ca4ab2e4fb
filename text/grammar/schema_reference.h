// $ref: what a reference names in its own document.
// Threads: pure functions. Failure: kUsage.
#pragma once

#include "base/error.h"
#include "text/grammar/schema_merge.h"

namespace llmrun {

// Source: RFC 6901 (JSON pointers). The result points into the document.
Result<const SchemaJson*> ResolveReference(const SchemaJson& document, const SchemaJson& reference);

}  // namespace llmrun
