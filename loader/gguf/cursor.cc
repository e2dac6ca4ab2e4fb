#include "loader/gguf/cursor.h"

#include <algorithm>

#include "base/units.h"
#include "loader/gguf/printable.h"

namespace llmrun {

GgufCursor::GgufCursor(ByteSource& source, uint64_t max_bytes)
    : source_(source),
      max_bytes_(max_bytes),
      buffer_bytes_(std::min(End(), kMiB)),
      buffer_(new std::byte[buffer_bytes_]) {}

void GgufCursor::EnterEntry(const char* entry_kind, const char* name_kind, uint64_t index,
                            uint64_t count) {
  entry_kind_ = entry_kind;
  name_kind_ = name_kind;
  entry_index_ = index;
  entry_count_ = count;
  entry_name_.clear();
}

Status GgufCursor::Reach(uint64_t bytes) {
  return source_.Prefetch(position_ + std::min(bytes, max_bytes_ - position_));
}

Status GgufCursor::ReadUnbuffered(std::span<std::byte> out, const char* what) {
  RETURN_IF_ERROR(Reach(std::max<uint64_t>(out.size(), buffer_bytes_)));
  if (out.size() > remaining()) {
    return Fail("the file ends inside {}: {} bytes expected, {} left", what, out.size(),
                remaining());
  }
  if (out.size() > End() - position_) {
    return Fail("{} reaches past the header limit of {} bytes", what, End());
  }
  const uint64_t held = buffered_end_ - position_;
  if (held > 0) std::memcpy(out.data(), buffer_.get() + (position_ - buffered_from_), held);
  position_ += held;
  out = out.subspan(held);
  if (out.size() >= buffer_bytes_) {  // straight into place
    RETURN_IF_ERROR(source_.ReadAt(position_, out));
    position_ += out.size();
    buffered_from_ = buffered_end_ = position_;
    return {};
  }
  const uint64_t fill = std::min(buffer_bytes_, End() - position_);
  RETURN_IF_ERROR(source_.ReadAt(position_, std::span(buffer_.get(), fill)));
  buffered_from_ = position_;
  buffered_end_ = position_ + fill;
  std::memcpy(out.data(), buffer_.get(), out.size());
  position_ += out.size();
  return {};
}

Result<std::string> GgufCursor::ReadString(uint64_t max_bytes, const char* what) {
  const uint64_t begin = position_;
  ASSIGN_OR_RETURN(const uint64_t length, Read<uint64_t>(what));
  if (length > remaining()) {
    return Fail("the length of {} is {} bytes, the file has {} left", what, length, remaining());
  }
  if (length > max_bytes) {
    return Fail("{} is {} bytes long, at most {} are accepted", what, length, max_bytes);
  }
  RETURN_IF_ERROR(ExpectRoom(length, 1, what));
  std::string text(length, '\0');
  RETURN_IF_ERROR(ReadBytes(std::as_writable_bytes(std::span(text)), what));
  field_at_ = begin;  // what is found wrong with a string is reported where its length stands
  return text;
}

Status GgufCursor::ExpectRoom(uint64_t count, uint64_t item_bytes, const char* what) {
  const uint64_t most = remaining() / item_bytes;
  if (count <= most) RETURN_IF_ERROR(Reach(count * item_bytes));
  if (count > remaining() / item_bytes) {
    return Fail("{} {} need at least {} bytes each, the file has {} left", count, what, item_bytes,
                remaining());
  }
  return {};
}

tl::unexpected<Error> GgufCursor::FailWith(ErrorCode code, std::string_view message) const {
  std::string entry;
  if (entry_kind_ != nullptr && entry_name_.empty()) {
    entry = fmt::format("{} {} of {}: ", entry_kind_, entry_index_ + 1, entry_count_);
  } else if (entry_kind_ != nullptr) {
    entry = fmt::format("{} {}: ", name_kind_, Quoted(entry_name_));
  }
  return MakeError(code, "{}: byte {}: {}{}", source_.Label(), field_at_, entry, message);
}

}  // namespace llmrun
