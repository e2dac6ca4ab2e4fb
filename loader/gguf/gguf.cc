#include "loader/gguf/gguf.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "loader/gguf/cursor.h"
#include "loader/gguf/parse_parts.h"
#include "loader/gguf/wrong_format.h"

namespace llmrun {
namespace {

constexpr uint32_t kMagic = 0x46554747;         // "GGUF"
constexpr uint32_t kSwappedMagic = 0x47475546;  // "FUGG"
constexpr uint32_t kFirstVersion = 2;
constexpr uint32_t kLastVersion = 3;

tl::unexpected<Error> NotGguf(ByteSource& source) {
  std::array<std::byte, kWrongFormatHeadBytes> head;
  const std::span<std::byte> part =
      std::span(head).first(std::min<uint64_t>(head.size(), source.SizeBytes()));
  RETURN_IF_ERROR(source.ReadAt(0, part));
  const WrongFormat found = RecognizeWrongFormat(part);
  return MakeFixableError(ErrorCode::kBadData, found.fix, "{}: not a GGUF file: found {}",
                          source.Label(), found.what);
}

tl::unexpected<Error> BigEndian(const GgufCursor& cursor) {
  return cursor.FailWith(ErrorCode::kUnavailable,
                         "a big-endian GGUF; only little-endian files can be read");
}

Result<uint32_t> ReadVersion(GgufCursor& cursor, ByteSource& source) {
  if (source.SizeBytes() == 0) {
    return MakeError(ErrorCode::kBadData, "{}: the file is empty", source.Label());
  }
  const Result<uint32_t> magic = cursor.Read<uint32_t>("the magic number");
  if (magic && *magic == kSwappedMagic) return BigEndian(cursor);
  if (!magic || *magic != kMagic) return NotGguf(source);
  ASSIGN_OR_RETURN(const uint32_t version, cursor.Read<uint32_t>("the version"));
  if (version >= kFirstVersion && version <= kLastVersion) return version;
  if (version != 0 && (version & 0xffff) == 0) return BigEndian(cursor);
  if (version == 0) return cursor.Fail("GGUF version 0 does not exist");
  return cursor.FailWith(ErrorCode::kUnavailable,
                         fmt::format("GGUF version {}; versions {} to {} can be read", version,
                                     kFirstVersion, kLastVersion));
}

// A count is refused before anything else is read, so that the message points at it.
Result<uint64_t> ReadCount(GgufCursor& cursor, uint64_t max, uint64_t min_item_bytes,
                           const char* what) {
  ASSIGN_OR_RETURN(const uint64_t count, cursor.Read<uint64_t>("a count of the header"));
  if (count > max) return cursor.Fail("{} {}, at most {} are accepted", count, what, max);
  RETURN_IF_ERROR(cursor.ExpectRoom(count, min_item_bytes, what));
  return count;
}

Result<uint64_t> Alignment(const Metadata& metadata, const GgufLimits& limits) {
  constexpr uint64_t kDefault = 32;
  constexpr const char* kKey = "general.alignment";
  const MetaEntry* entry = metadata.Find(kKey);
  if (entry == nullptr) return kDefault;
  const bool is_unsigned = entry->type == MetaType::kUint8 || entry->type == MetaType::kUint16 ||
                           entry->type == MetaType::kUint32 || entry->type == MetaType::kUint64;
  if (!is_unsigned) {
    return MakeError(ErrorCode::kBadData, "{}: key '{}': expected u32, found {}", metadata.label(),
                     kKey, NameOf(entry->type));
  }
  ASSIGN_OR_RETURN(const uint64_t value, metadata.GetUint(kKey));
  if (!IsPowerOfTwo(value) || value > limits.max_alignment) {
    return MakeError(ErrorCode::kBadData,
                     "{}: key '{}': expected a power of two of at most {}, found {}",
                     metadata.label(), kKey, limits.max_alignment, value);
  }
  return value;
}

}  // namespace

Result<GgufFile> ParseGguf(ByteSource& source, const GgufLimits& limits) {
  GgufCursor cursor(source, limits.max_header_bytes);
  GgufFile file;
  file.label = source.Label();
  file.metadata = Metadata(file.label);
  ASSIGN_OR_RETURN(file.version, ReadVersion(cursor, source));
  ASSIGN_OR_RETURN(
      const uint64_t n_tensors,
      ReadCount(cursor, limits.max_tensors, kMinDescriptionBytes, "tensor descriptions"));
  ASSIGN_OR_RETURN(const uint64_t n_kv,
                   ReadCount(cursor, limits.max_kv, kMinEntryBytes, "metadata entries"));
  RETURN_IF_ERROR(ReadMetadata(cursor, n_kv, limits, &file.metadata));
  ASSIGN_OR_RETURN(file.alignment, Alignment(file.metadata, limits));
  file.file_bytes = source.SizeBytes();
  RETURN_IF_ERROR(ReadTensors(cursor, n_tensors, limits, &file));
  return file;
}

}  // namespace llmrun
