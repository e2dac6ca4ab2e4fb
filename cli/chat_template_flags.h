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
  std::string tools_file;    // --tools; empty: none
  bool quiet = false;        // nothing is said about another template than wanted
};

void AddChatTemplateFlags(CLI::App& command, ChatTemplateFlags& flags);

// A model without a template of its own gets "chatml" where its vocabulary has the markers, else
// "plain"; a line on stderr says so, and where a template leaves the tools out. kUsage for a name
// that is not known and for tools that are none.
Result<ChatTemplate> MakeChatTemplate(const ChatTemplateFlags& flags, const Metadata& metadata,
                                      const Tokenizer& tokenizer);

}  // namespace llmrun
