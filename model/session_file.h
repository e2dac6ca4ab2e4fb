// Sessions on disk: the tokens of a KV cache with their keys and values, so that a prompt need not
// be computed again. A file serves the model, the types of the cache and the version of the format
// that it was made with, and any length of context.
//
// The format: model/session_format.h.
//
// Threads: as the session's. A file is written under another name, synced, and renamed: it is
// there whole or not at all.
// Failure: kNoInput when it is not there; kBadData when it is damaged or not such a file; kUsage
// when it is of another model or other options. The session is then empty.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "model/session.h"

namespace llmrun {

// `note`: whatever belongs to the session, as the messages of a conversation.
Status SaveSession(Session& session, const std::string& path, std::string_view note = {});
// Puts the file's tokens and their keys and values in place of what the session holds. Returns the
// note.
Result<std::string> RestoreSession(Session& session, const std::string& path);

}  // namespace llmrun
