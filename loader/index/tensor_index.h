// All tensors of a model, over one file or the parts of a split one, under one id each.
//
// Threads: immutable after Build(); Thread-safe.
// Failure: Build() rejects (kBadData) the same tensor name in two parts, split.* keys that disagree
// with the number or order of parts, a part missing, and layers that are not numbered 0, 1, 2, ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/gguf/gguf.h"
#include "loader/gguf/name_table.h"

namespace llmrun {

enum class TensorId : uint32_t {};

// Bytes of one file of the model.
struct FileExtent {
  uint32_t file = 0;  // index into TensorIndex::files()
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Weights become usable in groups: what comes before the layers, each layer, what comes after.
// Group 0 holds tensors without a layer that the first token needs (rope_freqs, ...), group 1 + i
// layer i ("blk.<i>."), the last group output_norm, output and token_embd: of the embeddings, often
// the largest tensor, a prompt needs few rows (Weights::CopyRows), and some models use the matrix
// as their output, too. Of a safetensors file all tensors are in group 0.
using GroupId = uint32_t;

struct IndexedTensor {
  std::string name;
  DType dtype = DType::kF32;
  int n_dims = 1;  // 0 for a scalar of a safetensors file
  Dims dims = {1, 1, 1, 1};
  FileExtent extent;
  GroupId group = 0;
};

class TensorIndex {
 public:
  // Requires: at least one file; the parts of a split model in their order.
  static Result<TensorIndex> Build(std::vector<GgufFile> files);

  const std::vector<GgufFile>& files() const { return files_; }
  const Metadata& metadata() const { return files_.front().metadata; }  // of the first part
  const std::vector<IndexedTensor>& tensors() const { return tensors_; }
  const IndexedTensor& at(TensorId id) const { return tensors_[static_cast<uint32_t>(id)]; }
  std::optional<TensorId> Find(std::string_view name) const;
  GroupId group_count() const { return group_count_; }   // layers + 2
  uint64_t total_bytes() const { return total_bytes_; }  // sum over the tensors

 private:
  Status AddTensors(uint32_t file);
  Status AssignGroups();

  std::vector<GgufFile> files_;
  std::vector<IndexedTensor> tensors_;
  NameTable by_name_;
  GroupId group_count_ = 2;
  uint64_t total_bytes_ = 0;
};

// The paths of all parts of a split model, given any one of them ("x-00002-of-00005.gguf"); just
// the path itself when its name does not follow that pattern.
std::vector<std::string> SplitPartPaths(const std::string& path);

}  // namespace llmrun
