// What the config.json of a Hugging Face checkpoint says of a model, as the metadata of a GGUF, and
// how its tensors become those of a GGUF.
// Sources: config.json of transformers (LlamaForCausalLM, ...); keys and layouts of llama.cpp.
//
// Threads: pure functions. Failure: kBadData for what is not the JSON it should be; kUnavailable,
// naming key and value, for what llm-run could not run as it is meant.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/gguf/metadata.h"
#include "model/architecture.h"

namespace llmrun {

struct HfModel {
  std::string architecture;  // of the GGUF
  Architecture kind = {};    // that one
  int64_t n_layers = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  bool tied = false;                // the embeddings are the output, too
  std::vector<MetaEntry> metadata;  // all but the tokenizer and general.file_type
  std::vector<float> rope_factors;  // of Llama 3.1, [head_dim / 2]; empty: none
  std::optional<int64_t> bos, eos;  // of config.json

  bool is_gemma() const { return architecture.starts_with("gemma"); }
};

Result<HfModel> ReadHfConfig(std::string_view json, const std::string& label);

// What becomes of a tensor.
struct HfTensor {
  std::string name;         // in the GGUF; empty: it is left out
  int64_t interleaved = 0;  // rows of a head that are halves in the checkpoint, pairs in the GGUF
  float added = 0;          // to each value: gemma keeps norms less 1
};
// kUnavailable for names that are not known.
Result<HfTensor> MapHfTensor(const HfModel& model, std::string_view name);

// kBadData unless the GGUF has all its tensors with these names, each once.
Status CheckHfTensors(const HfModel& model, std::span<const std::string> names,
                      const std::string& label);

}  // namespace llmrun
