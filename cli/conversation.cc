#include "cli/conversation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/output.h"
#include "model/session_file.h"

namespace llmrun {
namespace {

std::string MessagesAsJson(const std::vector<ChatMessage>& messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::vector<ChatMessage>> MessagesOfJson(const std::string& text, const std::string& path) {
  const Json list = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::vector<ChatMessage> messages;
  bool valid = list.is_array();
  for (size_t i = 0; valid && i < list.size(); ++i) {
    const Json& each = list[i];
    valid = each.is_object() && each.value("role", Json()).is_string() &&
            each.value("content", Json()).is_string();
    if (valid) messages.push_back({each["role"], each["content"]});
  }
  if (valid) return messages;
  return MakeError(ErrorCode::kBadData, "{}: this session holds no conversation", path);
}

}  // namespace

Result<GenerateResult> Conversation::Ask(const std::string& question, const ShowText& show) {
  messages_.push_back({"user", question});
  Result<GenerateResult> result = Answer(show);
  if (messages_.back().role == "user") messages_.pop_back();
  return result;
}

Result<GenerateResult> Conversation::AskAgain(const ShowText& show) {
  if (messages_.empty() || messages_.back().role != "assistant") {
    return MakeError(ErrorCode::kUsage, "there is no answer yet that could be another one");
  }
  const ChatMessage old = std::move(messages_.back());
  messages_.pop_back();
  Result<GenerateResult> result = Answer(show);
  if (messages_.back().role == "user") messages_.push_back(old);
  return result;
}

Result<GenerateResult> Conversation::Answer(const ShowText& show) {
  ASSIGN_OR_RETURN(const std::string text, parts_.chat_template.Render(messages_, true));
  const std::vector<TokenId> ids = EncodeRendered(parts_.tokenizer, text);
  const auto n_ctx = static_cast<size_t>(parts_.session.n_ctx());
  if (ids.size() >= n_ctx) {
    return MakeFixableError(ErrorCode::kUsage,
                            fmt::format("/reset, or begin with -c {}", 2 * ids.size()),
                            "the conversation has {} tokens, the context {}", ids.size(), n_ctx);
  }
  std::string answer;
  GenerateOptions options = parts_.generate;
  options.stop.push_back(parts_.chat_template.stop());
  options.on_text = [&](std::string_view piece) {
    if (answer.empty()) piece.remove_prefix(std::min(piece.find_first_not_of(" \n"), piece.size()));
    answer += piece;
    return piece.empty() || show(piece);
  };
  ASSIGN_OR_RETURN(const GenerateResult result,
                   GenerateReusing(parts_.session, parts_.tokenizer, parts_.sampler, ids, options));
  if (!answer.empty()) messages_.push_back({"assistant", answer});
  return result;
}

void Conversation::Reset() {
  std::erase_if(messages_, [](const ChatMessage& message) { return message.role != "system"; });
}

void Conversation::SetSystem(const std::string& text) {
  messages_.clear();
  if (!text.empty()) messages_.push_back({"system", text});
}

Status Conversation::Save(const std::string& path) {
  return SaveSession(parts_.session, path, MessagesAsJson(messages_));
}

Status Conversation::Load(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string note, RestoreSession(parts_.session, path));
  ASSIGN_OR_RETURN(messages_, MessagesOfJson(note, path));
  return {};
}

}  // namespace llmrun
