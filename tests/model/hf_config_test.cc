// Checkpoints of Hugging Face: what config.json becomes, which tensor is which, and what is
// refused.
#include "model/hf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>

#include "loader/gguf/gguf.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/oracle.h"

namespace llmrun {
namespace {

using HfTestJson = nlohmann::json;

HfTestJson HfConfig(const char* class_name) {
  return {{"architectures", {class_name}},   {"hidden_size", 256},       {"intermediate_size", 512},
          {"max_position_embeddings", 2048}, {"vocab_size", 512},        {"num_hidden_layers", 2},
          {"num_attention_heads", 8},        {"num_key_value_heads", 4}, {"rms_norm_eps", 1e-5},
          {"rope_theta", 500000.0},          {"bos_token_id", 1},        {"eos_token_id", {2, 3}}};
}

Metadata MetadataOf(const HfModel& model) {
  Metadata metadata;
  for (const MetaEntry& entry : model.metadata) EXPECT_TRUE(metadata.Add(entry)) << entry.key;
  return metadata;
}

TEST(HfConfig, BecomesMetadata) {
  const auto model = ReadHfConfig(HfConfig("LlamaForCausalLM").dump(), "config.json");
  ASSERT_TRUE(model) << model.error().OneLine();
  const Metadata metadata = MetadataOf(*model);
  EXPECT_EQ(metadata.GetString("general.architecture").value(), "llama");
  EXPECT_EQ(metadata.GetUint("llama.embedding_length").value(), 256U);
  EXPECT_EQ(metadata.GetUint("llama.attention.head_count_kv").value(), 4U);
  EXPECT_EQ(metadata.GetUint("llama.attention.key_length").value(), 32U);
  EXPECT_EQ(metadata.GetFloat("llama.rope.freq_base").value(), 500000);
  EXPECT_FALSE(model->tied);
  EXPECT_EQ(model->bos, 1);
  EXPECT_EQ(model->eos, 2);
}

TEST(HfConfig, RopeScalingBecomesKeysOrFactors) {
  HfTestJson config = HfConfig("LlamaForCausalLM");
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
  const Metadata linear = MetadataOf(ReadHfConfig(config.dump(), "config.json").value());
  EXPECT_EQ(linear.GetFloat("llama.rope.scaling.factor").value(), 4);
  config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}};
  const auto yarn = ReadHfConfig(config.dump(), "config.json");
  ASSERT_FALSE(yarn);
  EXPECT_EQ(yarn.error().message, "config.json: rope_scaling: 'yarn' is not supported");
  // Newer files have base and scaling together.
  config.erase("rope_scaling");
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 1e6}};
  const Metadata newer = MetadataOf(ReadHfConfig(config.dump(), "config.json").value());
  EXPECT_EQ(newer.GetFloat("llama.rope.freq_base").value(), 1e6);
}

// Factors of Llama 3.1 against those in a file of another converter.
TEST(HfConfig, FactorsAreThoseOfOthers) {
  const std::filesystem::path path = OracleRoot() / "arch/llama31-ropefreqs-f16/model.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no oracle data at " << path;
  const std::string bytes = ReadAll(path);
  MemByteSource source(std::as_bytes(std::span(bytes)), path.string());
  const GgufFile file = ParseGguf(source).value();
  const auto factors = std::ranges::find(file.tensors, "rope_freqs.weight", &TensorInfo::name);
  ASSERT_NE(factors, file.tensors.end());
  HfTestJson config = HfConfig("LlamaForCausalLM");
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 64}};
  const HfModel model = ReadHfConfig(config.dump(), "config.json").value();
  ASSERT_EQ(model.rope_factors.size(), factors->dims[0]);
  for (size_t i = 0; i < model.rope_factors.size(); ++i) {
    float want = 0;
    std::memcpy(&want, bytes.data() + factors->file_offset + i * sizeof want, sizeof want);
    EXPECT_NEAR(model.rope_factors[i] / want, 1, 1e-5) << i;
  }
}

TEST(HfConfig, TensorsGetTheirNames) {
  const HfModel llama = ReadHfConfig(HfConfig("LlamaForCausalLM").dump(), "c").value();
  const HfTensor q = MapHfTensor(llama, "model.layers.1.self_attn.q_proj.weight").value();
  EXPECT_EQ(q.name, "blk.1.attn_q.weight");
  EXPECT_EQ(q.interleaved, 32);
  EXPECT_EQ(MapHfTensor(llama, "model.layers.0.post_attention_layernorm.weight")->name,
            "blk.0.ffn_norm.weight");
  EXPECT_EQ(MapHfTensor(llama, "lm_head.weight")->name, "output.weight");
  EXPECT_EQ(MapHfTensor(llama, "model.layers.0.self_attn.rotary_emb.inv_freq")->name, "");
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.2.mlp.up_proj.weight")) << "beyond the layers";
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.0.self_attn.q_proj.bias"));
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.0.self_attn.q_norm.weight"));
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.0.pre_feedforward_layernorm.weight"));
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.x.mlp.up_proj.weight"));
  EXPECT_FALSE(MapHfTensor(llama, "model.layers.0"));

  const HfModel qwen = ReadHfConfig(HfConfig("Qwen2ForCausalLM").dump(), "c").value();
  EXPECT_EQ(MapHfTensor(qwen, "model.layers.0.self_attn.k_proj.bias")->name, "blk.0.attn_k.bias");
  EXPECT_EQ(MapHfTensor(qwen, "model.layers.0.self_attn.q_proj.weight")->interleaved, 0);

  HfTestJson config = HfConfig("Gemma2ForCausalLM");
  config.update({{"sliding_window", 16},
                 {"head_dim", 32},
                 {"query_pre_attn_scalar", 32},
                 {"hidden_activation", "gelu_pytorch_tanh"},
                 {"attn_logit_softcapping", 50.0},
                 {"final_logit_softcapping", 30.0}});
  const HfModel gemma = ReadHfConfig(config.dump(), "c").value();
  EXPECT_TRUE(gemma.tied);
  EXPECT_EQ(MapHfTensor(gemma, "lm_head.weight")->name, "");
  const HfTensor norm =
      MapHfTensor(gemma, "model.layers.0.post_attention_layernorm.weight").value();
  EXPECT_EQ(norm.name, "blk.0.post_attention_norm.weight");
  EXPECT_EQ(norm.added, 1);
  EXPECT_EQ(MapHfTensor(gemma, "model.norm.weight")->added, 1);
  EXPECT_EQ(MapHfTensor(gemma, "model.layers.0.mlp.up_proj.weight")->added, 0);
}

HfTestJson GemmaConfig(const char* class_name) {
  HfTestJson config = HfConfig(class_name);
  config.update({{"sliding_window", 16}, {"hidden_activation", "gelu_pytorch_tanh"}});
  if (std::string_view(class_name) == "Gemma2ForCausalLM") {
    config.update({{"attn_logit_softcapping", 50.0}, {"final_logit_softcapping", 30.0}});
  }
  return config;
}

std::string HfConfigRefusal(const HfTestJson& config) {
  const auto model = ReadHfConfig(config.dump(), "config.json");
  return model ? std::string() : model.error().message;
}

TEST(HfConfig, WhatIsNotSaidIsWhatTheClassTakes) {
  const auto metadata = [](const HfTestJson& config) {
    return MetadataOf(ReadHfConfig(config.dump(), "config.json").value());
  };
  HfTestJson config = HfConfig("Qwen3ForCausalLM");
  config["sliding_window"] = 99;  // unless use_sliding_window is true
  EXPECT_EQ(metadata(config).GetUint("qwen3.attention.key_length").value(), 128U);
  EXPECT_EQ(metadata(config).Find("qwen3.attention.sliding_window"), nullptr);
  config = HfConfig("MistralForCausalLM");
  config["sliding_window"] = 4096;
  EXPECT_EQ(metadata(config).GetUint("llama.attention.sliding_window").value(), 4096U);
  config = GemmaConfig("Gemma3ForCausalLM");
  config.erase("rope_theta");
  EXPECT_EQ(metadata(config).GetUint("gemma3.attention.key_length").value(), 256U);
  EXPECT_EQ(metadata(config).GetFloat("gemma3.rope.freq_base").value(), 1e6);
}

TEST(HfConfig, KindsOfLayersHaveRopeOfTheirOwn) {
  HfTestJson config = GemmaConfig("Gemma3ForCausalLM");
  config["rope_local_base_freq"] = 20000.0;
  const Metadata older = MetadataOf(ReadHfConfig(config.dump(), "config.json").value());
  EXPECT_EQ(older.GetFloat("gemma3.rope.freq_base_swa").value(), 20000);
  config.erase("rope_local_base_freq");
  config["rope_parameters"] = {
      {"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 1e6}}},
      {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 30000.0}}}};
  const Metadata newer = MetadataOf(ReadHfConfig(config.dump(), "config.json").value());
  EXPECT_EQ(newer.GetFloat("gemma3.rope.freq_base").value(), 1e6);
  EXPECT_EQ(newer.GetFloat("gemma3.rope.freq_base_swa").value(), 30000);
  EXPECT_EQ(newer.GetFloat("gemma3.rope.scaling.factor").value(), 8);
  config["rope_parameters"].erase("sliding_attention");
  EXPECT_EQ(HfConfigRefusal(config), "config.json: rope_parameters: an object is expected");
}

// Gemma 2 27B scales scores by the width of the model over its heads, the others by their length.
TEST(HfConfig, ScalesOfScoresAreThoseOfTheArchitecture) {
  HfTestJson config = GemmaConfig("Gemma2ForCausalLM");
  config.update({{"head_dim", 64}, {"query_pre_attn_scalar", 64}});
  EXPECT_EQ(HfConfigRefusal(config), "");
  config["query_pre_attn_scalar"] = 32;
  EXPECT_EQ(HfConfigRefusal(config),
            "config.json: query_pre_attn_scalar: 32 is not supported for these sizes (only 64 is)");
  config["num_hidden_layers"] = 46;
  EXPECT_EQ(HfConfigRefusal(config), "");
}

TEST(HfConfig, LayersAreOfTheKindsOfTheArchitecture) {
  HfTestJson config = GemmaConfig("Gemma2ForCausalLM");
  config["layer_types"] = {"sliding_attention", "full_attention"};
  EXPECT_EQ(HfConfigRefusal(config), "");
  config["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(HfConfigRefusal(config), "config.json: layer_types: not those of gemma2");
  config["layer_types"] = HfTestJson::array({"sliding_attention"});
  EXPECT_EQ(HfConfigRefusal(config), "config.json: layer_types: not those of gemma2");
  config = HfConfig("MistralForCausalLM");
  config["layer_types"] = {"full_attention", "full_attention"};
  EXPECT_EQ(HfConfigRefusal(config), "");
  config["sliding_window"] = 4096;
  EXPECT_EQ(HfConfigRefusal(config), "config.json: layer_types: not those of llama");
  config = GemmaConfig("Gemma3ForCausalLM");
  config["sliding_window_pattern"] = 4;
  EXPECT_EQ(HfConfigRefusal(config),
            "config.json: sliding_window_pattern: 4 is not supported (only 6 is)");
}

TEST(HfConfig, TensorsAreThereOnce) {
  const HfModel model = ReadHfConfig(HfConfig("Qwen2ForCausalLM").dump(), "c").value();
  std::vector<std::string> names = {"token_embd.weight", "output_norm.weight", "output.weight"};
  for (const char* layer : {"blk.0.", "blk.1."}) {
    for (const char* part :
         {"attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_q.bias",
          "attn_k.bias", "attn_v.bias", "attn_output.weight", "ffn_norm.weight", "ffn_gate.weight",
          "ffn_up.weight", "ffn_down.weight"}) {
      names.push_back(std::string(layer) + part);
    }
  }
  EXPECT_TRUE(CheckHfTensors(model, names, "folder"));
  for (const std::string& name : names) {
    std::vector<std::string> fewer = names;
    std::erase(fewer, name);
    const Status missing = CheckHfTensors(model, fewer, "folder");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().message, "folder: no tensor becomes '" + name + "'");
  }
  names.push_back(names.back());
  EXPECT_EQ(CheckHfTensors(model, names, "folder").error().message,
            "folder: two tensors become 'blk.1.ffn_down.weight'");
}

TEST(HfConfig, RefusesWhatItDoesNotKnow) {
  const auto message = HfConfigRefusal;
  using testing::HasSubstr;
  EXPECT_THAT(message(HfConfig("MambaForCausalLM")), HasSubstr("'MambaForCausalLM'"));
  EXPECT_THAT(message(HfTestJson::array()), HasSubstr("no JSON object"));
  for (const auto& [class_name, key, value] : {
           std::tuple("LlamaForCausalLM", "quantization_config", HfTestJson::object()),
           std::tuple("LlamaForCausalLM", "partial_rotary_factor", HfTestJson(0.5)),
           std::tuple("LlamaForCausalLM", "final_logit_softcapping", HfTestJson(30.0)),
           std::tuple("Qwen2ForCausalLM", "use_sliding_window", HfTestJson(true)),
       }) {
    HfTestJson refused = HfConfig(class_name);
    refused.update({{"sliding_window", 8}, {key, value}});
    EXPECT_THAT(message(refused), HasSubstr(std::string(key) + ": "));
  }
  HfTestJson config = HfConfig("LlamaForCausalLM");
  config["hidden_act"] = "relu";
  EXPECT_THAT(message(config), HasSubstr("'relu'"));
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads"}) {
    for (const HfTestJson& value : {HfTestJson(), HfTestJson(0), HfTestJson(-1), HfTestJson("8")}) {
      config = HfConfig("LlamaForCausalLM");
      config[key] = value;
      EXPECT_THAT(message(config), HasSubstr(key)) << value;
    }
  }
}

}  // namespace
}  // namespace llmrun
