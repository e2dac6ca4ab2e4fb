// Which chat template to use: that of the model, one of ours by name, or one that the user gives.
// Threads: Single-thread.
#pragma once

#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "loader/gguf/metadata.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace llmrun {

struct ChatTemplateFlags {
  std::string name_or_text;  // --chat-template; empty: the model's own
  std::string file;          // --chat-template-file
  std::string kwargs;        // --chat-template-kwargs, a JSON object
};

void AddChatTemplateFlags(CLI::App& command, ChatTemplateFlags& flags);

// A model without a template of its own gets "chatml" where its vocabulary has the markers, else
// "plain"; a line on stderr says so. kUsage for a name that is not known.
Result<ChatTemplate> MakeChatTemplate(const ChatTemplateFlags& flags, const Metadata& metadata,
                                      const Tokenizer& tokenizer);

}  // namespace llmrun
