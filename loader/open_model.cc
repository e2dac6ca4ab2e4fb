#include "loader/open_model.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "loader/gguf/wrong_format.h"
#include "loader/io/file_byte_source.h"
#include "loader/safetensors/safetensors.h"
#include "loader/safetensors/shard_index.h"

namespace llmrun {
namespace {

struct ModelParts {
  std::vector<std::string> paths;
  std::optional<ShardIndex> shards;  // of a sharded checkpoint
};

Result<ShardIndex> ReadShardIndex(FileByteSource& source) {
  if (source.SizeBytes() > kMaxShardIndexBytes) {
    return MakeError(ErrorCode::kBadData, "{}: {} bytes, at most {} are accepted", source.Label(),
                     source.SizeBytes(), kMaxShardIndexBytes);
  }
  std::string json(source.SizeBytes(), '\0');
  RETURN_IF_ERROR(source.ReadAt(0, std::as_writable_bytes(std::span(json))));
  return ParseShardIndex(json, source.Label());
}

ModelParts PartsOf(ShardIndex index) {
  const std::string folder = index.label.substr(0, index.label.rfind('/') + 1);
  ModelParts parts;
  for (const std::string& shard : index.shards) parts.paths.push_back(folder + shard);
  parts.shards = std::move(index);
  return parts;
}

Result<ModelParts> FindParts(const std::string& path) {
  const ModelParts by_name = {SplitPartPaths(path), std::nullopt};
  const bool is_index = IsShardIndexPath(path);
  const std::optional<std::string> index_path = is_index ? path : ShardIndexPathOf(path);
  if (!index_path) return by_name;
  const auto source = FileByteSource::Open(*index_path);
  if (!source && !is_index) return by_name;  // a shard alone
  if (!source) return tl::unexpected<Error>(source.error());
  ASSIGN_OR_RETURN(ShardIndex index, ReadShardIndex(**source));
  ModelParts parts = PartsOf(std::move(index));
  const bool named = is_index || std::ranges::find(parts.paths, path) != parts.paths.end();
  return named ? std::move(parts) : by_name;
}

Result<std::vector<std::byte>> HeadOf(ByteSource& source) {
  RETURN_IF_ERROR(source.Prefetch(kWrongFormatHeadBytes));
  std::vector<std::byte> head(std::min<uint64_t>(kWrongFormatHeadBytes, source.SizeBytes()));
  RETURN_IF_ERROR(source.ReadAt(0, head));
  return head;
}

Result<GgufFile> ParseFile(ByteSource& source) {
  ASSIGN_OR_RETURN(const std::vector<std::byte> head, HeadOf(source));
  if (LooksLikeSafetensors(head)) return ParseSafetensors(source);
  // A damaged file is refused in the words of the format that its name promises.
  constexpr std::string_view kGgufMagic = "GGUF";
  const bool is_gguf =
      std::ranges::equal(std::span(head).first(std::min(head.size(), kGgufMagic.size())),
                         std::as_bytes(std::span(kGgufMagic)));
  if (!is_gguf && source.Label().ends_with(".safetensors")) return ParseSafetensors(source);
  return ParseGguf(source);
}

}  // namespace

Result<TensorIndex> OpenModel(const std::string& path) {
  ASSIGN_OR_RETURN(const ModelParts parts, FindParts(path));
  std::vector<GgufFile> files;
  for (size_t i = 0; i < parts.paths.size(); ++i) {
    Result<std::unique_ptr<FileByteSource>> source = FileByteSource::Open(parts.paths[i]);
    if (!source) {
      Error error = std::move(source).error();
      if (parts.paths.size() > 1) {
        error.message = fmt::format("part {} of {} cannot be opened: {}", i + 1, parts.paths.size(),
                                    error.message);
      }
      return tl::unexpected(std::move(error));
    }
    ASSIGN_OR_RETURN(GgufFile file, ParseFile(**source));
    files.push_back(std::move(file));
  }
  if (parts.shards) RETURN_IF_ERROR(CheckShards(*parts.shards, files));
  return TensorIndex::Build(std::move(files));
}

Result<TensorIndex> OpenRunnableModel(const std::string& path) {
  ASSIGN_OR_RETURN(TensorIndex index, OpenModel(path));
  const GgufFile& first = index.files().front();
  if (first.format == FileFormat::kGguf) return index;
  return MakeFixableError(ErrorCode::kUnavailable,
                          "llm-run convert DIR OUT.gguf, with the folder that it lies in",
                          "{}: a safetensors file, which can be inspected, verified and loaded, "
                          "but not run",
                          first.label);
}

Result<TensorIndex> OpenModelStream(ModelStream& stream) {
  ASSIGN_OR_RETURN(const std::vector<std::byte> head, HeadOf(stream));
  if (LooksLikeSafetensors(head)) {
    return MakeFixableError(ErrorCode::kUnavailable, "save the model to a file",
                            "{}: a safetensors file, which cannot come through a pipe",
                            stream.Label());
  }
  ASSIGN_OR_RETURN(GgufFile file, ParseGguf(stream));
  // What comes after the last tensor is not read.
  uint64_t end = file.data_offset;
  for (const TensorInfo& tensor : file.tensors) {
    end = std::max(end, tensor.file_offset + tensor.bytes);
  }
  file.file_bytes = end;
  std::vector<GgufFile> files;
  files.push_back(std::move(file));
  return TensorIndex::Build(std::move(files));
}

Result<std::vector<std::string>> ModelPartPaths(const std::string& path) {
  ASSIGN_OR_RETURN(ModelParts parts, FindParts(path));
  return std::move(parts.paths);
}

}  // namespace llmrun
