// Feeds arbitrary bytes to the GGUF reader. Whatever it accepts goes on to what a loader does next:
// the ranges are read, the index is built, keys are asked for by every getter.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.h"
#include "loader/index/tensor_index.h"

namespace llmrun {
namespace {

constexpr const char* kKeys[] = {
    "general.architecture",         "general.alignment",    "llama.block_count",
    "llama.attention.head_count",   "llama.rope.freq_base", "tokenizer.ggml.tokens",
    "tokenizer.ggml.add_bos_token", "split.count"};

void AskForKeys(const Metadata& metadata) {
  for (const char* key : kKeys) {
    const bool found = metadata.Find(key) != nullptr;
    const int answers = metadata.GetUint(key).has_value() + metadata.GetString(key).has_value() +
                        metadata.GetArray(key).has_value();
    CHECK(answers <= (found ? 1 : 0));
    CHECK(found || metadata.GetFloatOr(key, 1.0).has_value());
    CHECK(found || metadata.GetBoolOr(key, true).has_value());
  }
}

// The promise of ParseGguf(): tensors lie in the file, behind the header, and share no byte.
void CheckTensors(const GgufFile& file, std::span<const std::byte> bytes) {
  uint64_t sum_bytes = 0;
  for (const TensorInfo& tensor : file.tensors) {
    CHECK(tensor.file_offset >= file.data_offset && tensor.file_offset % file.alignment == 0);
    CHECK(tensor.bytes > 0 && tensor.file_offset + tensor.bytes <= bytes.size());
    sum_bytes += tensor.bytes;
  }
  CHECK(sum_bytes <= bytes.size() - file.data_offset);
}

}  // namespace
}  // namespace llmrun

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace llmrun;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  MemByteSource source(bytes, "fuzz");
  Result<GgufFile> file = ParseGguf(source);
  if (!file) {
    CHECK(!file.error().message.empty());
    return 0;
  }
  CheckTensors(*file, bytes);
  AskForKeys(file->metadata);
  std::vector<GgufFile> files;
  files.push_back(*std::move(file));
  const Result<TensorIndex> index = TensorIndex::Build(std::move(files));
  if (!index) return 0;
  for (const IndexedTensor& tensor : index->tensors()) {
    CHECK(index->Find(tensor.name).has_value() && tensor.group < index->group_count());
  }
  return 0;
}
