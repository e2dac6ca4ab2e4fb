// A checkpoint as Hugging Face has it, made of a GGUF by going the other way: what the classes of
// transformers define, written once more, so that `convert` can be held against it.
//
// Names of tensors and keys of config.json as in LlamaForCausalLM, MistralForCausalLM,
// Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma2ForCausalLM and Gemma3ForCausalLM.
// Threads: Single-thread. Failure: aborts (CHECK) on what such a checkpoint cannot hold.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/index/tensor_index.h"

namespace llmrun {

struct HfCheckpointSpec {
  std::string class_name = "LlamaForCausalLM";
  nlohmann::json config =
      nlohmann::json::object();  // replaces keys of config.json; null: takes them out
  bool bf16 = false;             // matrices as BF16, which must hold their values
  int shards = 1;                // more than one: with model.safetensors.index.json
  bool tokenizer_json = false;   // instead of tokenizer.model
};

// Writes the files of a checkpoint into `folder`, which is made.
void WriteHfCheckpoint(const TensorIndex& model, const HfCheckpointSpec& spec,
                       const std::string& folder);

// A tensor's bytes as they are in its file.
std::string BytesOfTensor(const TensorIndex& model, const IndexedTensor& tensor);

// The vocabulary of a "llama" GGUF as the tokenizer.json that transformers makes of it: merges are
// all ways to cut a piece in two, in the order of scores.
nlohmann::json SentencePieceJson(const Metadata& metadata);
// The same as a tokenizer.model.
std::string SentencePieceBytes(const Metadata& metadata);
// That of a "gpt2" GGUF, with this pre-tokenizer.
nlohmann::json ByteLevelJson(const Metadata& metadata, nlohmann::json pre_tokenizer);

}  // namespace llmrun
