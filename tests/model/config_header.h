// The header of a small llama, to be changed by tests of what is read from it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "model/model_config.h"

namespace llmrun {

struct ConfigHeader {
  std::vector<MetaEntry> entries;
  std::vector<TensorInfo> tensors;
  std::string architecture = "llama";

  ConfigHeader() {
    SetString("general.architecture", "llama");
    SetUint("llama.context_length", 2048);
    SetUint("llama.embedding_length", 64);
    SetUint("llama.block_count", 2);
    SetUint("llama.feed_forward_length", 128);
    SetUint("llama.attention.head_count", 4);
    SetUint("llama.attention.head_count_kv", 2);
    SetFloat("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    AddTensor("token_embd.weight", {64, 300, 1, 1});
    AddTensor("blk.0.attn_norm.weight", {64, 1, 1, 1});
    AddTensor("blk.1.attn_norm.weight", {64, 1, 1, 1});
  }

  void Set(const std::string& key, MetaType type, MetaScalar value) {
    Remove(key);
    entries.push_back({key, type, std::move(value)});
  }
  void SetUint(const std::string& key, uint32_t value) { Set(key, MetaType::kUint32, value); }
  void SetFloat(const std::string& key, float value) { Set(key, MetaType::kFloat32, value); }
  void SetString(const std::string& key, std::string value) {
    Set(key, MetaType::kString, std::move(value));
  }
  void SetArray(const std::string& key, std::vector<uint32_t> values) {
    Set(key, MetaType::kArray, MetaArray{MetaType::kUint32, std::move(values)});
  }
  void SetTokens(size_t count) {
    Set("tokenizer.ggml.tokens", MetaType::kArray,
        MetaArray{MetaType::kString, std::vector<std::string>(count, "x")});
  }
  void SetExperts(uint32_t count, uint32_t used) {
    SetUint(architecture + ".expert_count", count);
    SetUint(architecture + ".expert_used_count", used);
  }
  void SetYarn(float factor) {
    SetString(architecture + ".rope.scaling.type", "yarn");
    SetFloat(architecture + ".rope.scaling.factor", factor);
  }
  // Renames all keys so far.
  void SetArchitecture(const std::string& name) {
    SetString("general.architecture", name);
    for (MetaEntry& entry : entries) {
      if (entry.key.starts_with(architecture + ".")) {
        entry.key.replace(0, architecture.size(), name);
      }
    }
    architecture = name;
  }
  void Remove(const std::string& key) {
    std::erase_if(entries, [&](const MetaEntry& entry) { return entry.key == key; });
  }
  void AddTensor(const std::string& name, const Dims& dims) {
    TensorInfo info;
    info.name = name;
    info.dims = dims;
    info.n_dims = dims[1] > 1 ? 2 : 1;
    info.bytes = 4 * dims[0] * dims[1];
    tensors.push_back(info);
  }
  void RemoveTensor(const std::string& name) {
    std::erase_if(tensors, [&](const TensorInfo& tensor) { return tensor.name == name; });
  }

  Result<ModelConfig> Read() const {
    GgufFile file;
    file.label = "a.gguf";
    file.metadata = Metadata("a.gguf");
    for (const MetaEntry& entry : entries) EXPECT_TRUE(file.metadata.Add(entry));
    file.tensors = tensors;
    std::vector<GgufFile> files;
    files.push_back(std::move(file));
    Result<TensorIndex> index = TensorIndex::Build(std::move(files));
    if (!index) return tl::unexpected(index.error());
    return ReadModelConfig(*index);
  }
};

inline ConfigHeader HeaderOf(const char* architecture) {
  ConfigHeader header;
  header.SetArchitecture(architecture);
  return header;
}

}  // namespace llmrun
