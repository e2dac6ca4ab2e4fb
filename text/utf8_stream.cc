#include "text/tokenizer.h"
#include "text/utf8.h"

namespace llmrun {

std::string Utf8Stream::Push(std::string_view bytes) {
  pending_ += bytes;
  const size_t ready = pending_.size() - IncompleteUtf8Tail(pending_);
  std::string out = pending_.substr(0, ready);
  pending_.erase(0, ready);
  return out;
}

std::string Utf8Stream::Flush() {
  std::string out = std::move(pending_);
  pending_.clear();
  return out;
}

}  // namespace llmrun
