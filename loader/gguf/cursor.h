// Reads the fields of a GGUF header one after the other from a ByteSource, through a buffer, and
// gives every error of the parser its shape:
//   model.gguf: byte 1234: key 'general.alignment': expected ..., found ...
// Nothing is ever reserved for a count or length before the file is known to be long enough for it.
//
// Threads: Thread-compatible. The source must outlive the cursor. After an error the position is
// unspecified.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "loader/gguf/byte_source.h"

namespace llmrun {

// Fields are copied from the file as they are.
static_assert(std::endian::native == std::endian::little);

class GgufCursor {
 public:
  // Reads at most the first `max_bytes` of the source.
  GgufCursor(ByteSource& source, uint64_t max_bytes);

  uint64_t position() const { return position_; }
  uint64_t remaining() const { return source_.SizeBytes() - position_; }  // see Reach()

  // What the next fields belong to, for messages: "metadata entry 3 of 25", or once named
  // "key 'general.name'".
  void EnterEntry(const char* entry_kind, const char* name_kind, uint64_t index, uint64_t count);
  void NameEntry(std::string_view name) { entry_name_ = name; }
  void LeaveEntry() { entry_kind_ = nullptr; }

  // The next field. `what` names it in errors.
  template <typename T>
  Result<T> Read(const char* what) {
    T value;
    RETURN_IF_ERROR(ReadBytes(std::as_writable_bytes(std::span(&value, 1)), what));
    return value;
  }
  Status ReadBytes(std::span<std::byte> out, const char* what) {
    field_at_ = position_;
    if (out.empty()) return {};  // an empty array has no address to copy to
    if (out.size() <= buffered_end_ - position_) [[likely]] {
      std::memcpy(out.data(), buffer_.get() + (position_ - buffered_from_), out.size());
      position_ += out.size();
      return {};
    }
    return ReadUnbuffered(out, what);
  }
  // A u64 length and that many bytes.
  Result<std::string> ReadString(uint64_t max_bytes, const char* what);

  // Fails unless `count` items of at least `item_bytes` each fit into the rest of the file.
  Status ExpectRoom(uint64_t count, uint64_t item_bytes, const char* what);

  // kBadData at the field that was read last.
  template <typename... Args>
  tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) const {
    return FailWith(ErrorCode::kBadData, fmt::format(format, std::forward<Args>(args)...));
  }
  tl::unexpected<Error> FailWith(ErrorCode code, std::string_view message) const;

 private:
  Status ReadUnbuffered(std::span<std::byte> out, const char* what);
  // Afterwards remaining() and End() are right about the next `bytes`.
  Status Reach(uint64_t bytes);
  uint64_t End() const { return std::min(source_.SizeBytes(), max_bytes_); }

  ByteSource& source_;
  const uint64_t max_bytes_;
  const uint64_t buffer_bytes_;
  std::unique_ptr<std::byte[]> buffer_;
  uint64_t buffered_from_ = 0;  // file range that the buffer holds
  uint64_t buffered_end_ = 0;
  uint64_t position_ = 0;
  uint64_t field_at_ = 0;

  const char* entry_kind_ = nullptr;
  const char* name_kind_ = nullptr;
  uint64_t entry_index_ = 0;
  uint64_t entry_count_ = 0;
  std::string entry_name_;
};

}  // namespace llmrun
