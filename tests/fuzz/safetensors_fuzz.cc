// Feeds arbitrary bytes to the safetensors reader and, as they are, to the reader of the index of
// sharded checkpoints. Whatever is accepted must keep the readers' promises.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "loader/index/tensor_index.h"
#include "loader/safetensors/safetensors.h"
#include "loader/safetensors/shard_index.h"

namespace llmrun {
namespace {

// The tensors tile the data, without gap or overlap, to the end of the file.
void CheckTiling(GgufFile file, std::span<const std::byte> bytes) {
  CHECK(file.file_bytes == bytes.size() && file.data_offset <= bytes.size());
  std::ranges::sort(file.tensors, {},
                    [](const TensorInfo& t) { return std::pair(t.file_offset, t.bytes); });
  uint64_t end = file.data_offset;
  for (const TensorInfo& tensor : file.tensors) {
    CHECK(tensor.file_offset == end && tensor.n_dims >= 0 && tensor.n_dims <= kMaxDims);
    end += tensor.bytes;
  }
  CHECK(end == bytes.size());
}

void ReadAsFile(std::span<const std::byte> bytes) {
  MemByteSource source(bytes, "fuzz");
  Result<GgufFile> file = ParseSafetensors(source);
  if (!file) {
    CHECK(!file.error().message.empty());
    return;
  }
  CheckTiling(*file, bytes);
  std::vector<GgufFile> files;
  files.push_back(*std::move(file));
  const Result<TensorIndex> index = TensorIndex::Build(std::move(files));
  CHECK(index.has_value());  // names are unique already
  for (const IndexedTensor& tensor : index->tensors()) CHECK(index->Find(tensor.name).has_value());
}

void ReadAsShardIndex(std::string_view json) {
  const Result<ShardIndex> index = ParseShardIndex(json, "fuzz");
  if (!index) {
    CHECK(!index.error().message.empty());
    return;
  }
  CHECK(!index->places.empty() && std::ranges::is_sorted(index->shards));
  for (const ShardIndex::Place& place : index->places) CHECK(place.shard < index->shards.size());
  for (const std::string& shard : index->shards) CHECK(shard.find('/') == shard.npos);
}

}  // namespace
}  // namespace llmrun

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  ReadAsFile(std::as_bytes(std::span(data, size)));
  ReadAsShardIndex({reinterpret_cast<const char*>(data), size});
  return 0;
}
