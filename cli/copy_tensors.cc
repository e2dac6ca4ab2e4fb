#include "cli/copy_tensors.h"

#include <algorithm>
#include <vector>

#include "base/units.h"
#include "cli/write_chunks.h"
#include "loader/io/file_byte_source.h"

namespace llmrun {
namespace {

struct CopyChunk {
  uint32_t file = 0;
  uint64_t offset = 0;  // where it comes from
};

}  // namespace

Result<std::unique_ptr<OutputFile>> WriteCopies(const TensorIndex& index, uint32_t first,
                                                const GgufWriter& header, const std::string& path,
                                                ThreadPool& pool) {
  constexpr uint64_t kChunkBytes = 4 * kMiB;
  std::vector<std::unique_ptr<FileByteSource>> sources;
  for (const GgufFile& file : index.files()) {
    ASSIGN_OR_RETURN(auto source, FileByteSource::Open(file.label));
    sources.push_back(std::move(source));
  }
  const std::vector<std::byte> head = header.Header();
  ASSIGN_OR_RETURN(auto out, OutputFile::Create(path, head.size() + header.DataBytes()));
  RETURN_IF_ERROR(out->WriteAt(0, head));
  std::vector<CopyChunk> chunks;
  std::vector<ChunkPlace> places;
  for (size_t i = 0; i < header.tensors().size(); ++i) {
    const FileExtent& from = index.tensors()[first + i].extent;
    for (uint64_t at = 0; at < from.bytes; at += kChunkBytes) {
      chunks.push_back({from.file, from.offset + at});
      places.push_back(
          {head.size() + header.tensors()[i].offset + at, std::min(kChunkBytes, from.bytes - at)});
    }
  }
  const auto fill = [&](size_t i, std::span<std::byte> bytes) {
    return sources[chunks[i].file]->ReadAt(chunks[i].offset, bytes);
  };
  RETURN_IF_ERROR(WriteChunks(*out, places, fill, "copy", pool));
  return out;
}

}  // namespace llmrun
