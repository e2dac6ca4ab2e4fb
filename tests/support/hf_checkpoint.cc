#include "tests/support/hf_checkpoint.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/check.h"

namespace llmrun {
namespace {

using Json = nlohmann::json;

bool IsGemmaModel(const TensorIndex& model) {
  return model.metadata().GetString("general.architecture")->starts_with("gemma");
}

// The name in a checkpoint; "" for what is none of its tensors.
std::string HfNameOf(const TensorIndex& model, const std::string& name) {
  if (name == "rope_freqs.weight") return "";
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  if (name == "output.weight") return "lm_head.weight";
  std::map<std::string, std::string> parts = {
      {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
      {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
      {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
      {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
      {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
      {"ffn_down", "mlp.down_proj"},
  };
  if (IsGemmaModel(model)) {
    parts["post_attention_norm"] = "post_attention_layernorm";
    parts["ffn_norm"] = "pre_feedforward_layernorm";
    parts["post_ffw_norm"] = "post_feedforward_layernorm";
  }
  const size_t layer_end = name.find('.', 4);  // behind "blk."
  const size_t part_end = name.find('.', layer_end + 1);
  return "model.layers." + name.substr(4, layer_end - 4) + "." +
         parts.at(name.substr(layer_end + 1, part_end - layer_end - 1)) + name.substr(part_end);
}

// Pairs of rows of a head become its halves.
std::string InHalves(const std::string& rows, size_t row_bytes, size_t head_dim) {
  std::string out;
  for (size_t head = 0; head < rows.size(); head += row_bytes * head_dim) {
    for (size_t second = 0; second < 2; ++second) {
      for (size_t i = second; i < head_dim; i += 2) {
        out += rows.substr(head + i * row_bytes, row_bytes);
      }
    }
  }
  return out;
}

std::string WithoutOne(std::string floats) {
  for (size_t at = 0; at < floats.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, floats.data() + at, sizeof value);
    value -= 1;
    std::memcpy(floats.data() + at, &value, sizeof value);
  }
  return floats;
}

std::string AsBf16(const std::string& floats) {
  std::string out;
  for (size_t at = 0; at < floats.size(); at += sizeof(float)) {
    CHECK(floats[at] == 0 && floats[at + 1] == 0);
    out += floats.substr(at + 2, 2);
  }
  return out;
}

struct HfConfigWriter {
  const Metadata& metadata;
  Json config = {};

  std::string Key(const char* name) const {
    return metadata.GetString("general.architecture").value().data() + std::string(".") + name;
  }
  void Uint(const char* name, const char* hf_name) {
    if (metadata.Find(Key(name)) == nullptr) return;
    config[hf_name] = metadata.GetUint(Key(name)).value();
  }
  void Float(const char* name, const char* hf_name) {
    if (metadata.Find(Key(name)) == nullptr) return;
    config[hf_name] = metadata.GetFloat(Key(name)).value();
  }
};

Json HfConfigOf(const TensorIndex& model, const HfCheckpointSpec& spec) {
  HfConfigWriter writer{model.metadata()};
  writer.config = {{"architectures", {spec.class_name}},
                   {"tie_word_embeddings", !model.Find("output.weight").has_value()},
                   {"vocab_size", model.at(*model.Find("token_embd.weight")).dims[1]},
                   {"bos_token_id", 1},
                   {"eos_token_id", 2}};
  writer.Uint("embedding_length", "hidden_size");
  writer.Uint("feed_forward_length", "intermediate_size");
  writer.Uint("context_length", "max_position_embeddings");
  writer.Uint("block_count", "num_hidden_layers");
  writer.Uint("attention.head_count", "num_attention_heads");
  writer.Uint("attention.head_count_kv", "num_key_value_heads");
  writer.Uint("rope.dimension_count", "head_dim");
  writer.Uint("attention.sliding_window", "sliding_window");
  writer.Float("attention.layer_norm_rms_epsilon", "rms_norm_eps");
  writer.Float("rope.freq_base", "rope_theta");
  if (IsGemmaModel(model)) {
    writer.config["hidden_activation"] = "gelu_pytorch_tanh";
    writer.Uint("attention.key_length", "query_pre_attn_scalar");
    writer.Float("attn_logit_softcapping", "attn_logit_softcapping");
    writer.Float("final_logit_softcapping", "final_logit_softcapping");
  } else {
    writer.config["hidden_act"] = "silu";
  }
  if (writer.metadata.Find(writer.Key("rope.scaling.factor")) != nullptr) {
    writer.config["rope_scaling"]["rope_type"] = "linear";
    writer.config["rope_scaling"]["factor"] =
        writer.metadata.GetFloat(writer.Key("rope.scaling.factor")).value();
  }
  writer.config.merge_patch(spec.config);
  return writer.config;
}

struct HfShard {
  nlohmann::ordered_json header;
  std::string data;

  void Add(const std::string& name, const char* dtype, const IndexedTensor& tensor,
           const std::string& bytes) {
    Json shape = Json::array();
    for (int i = tensor.n_dims; i > 0; --i) shape.push_back(tensor.dims[i - 1]);
    header[name] = {{"dtype", dtype},
                    {"shape", shape},
                    {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }

  void Write(const std::string& path) const {
    const std::string text = header.dump();
    const uint64_t size = text.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << text << data;
    CHECK(out.good());
  }
};

void AddAsHf(const TensorIndex& model, const IndexedTensor& tensor, const HfCheckpointSpec& spec,
             const Json& config, const std::string& name, HfShard* shard) {
  CHECK(tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16);
  const bool f32 = tensor.dtype == DType::kF32;
  std::string bytes = BytesOfTensor(model, tensor);
  const bool rotated = tensor.name.find("attn_q.") != std::string::npos ||
                       tensor.name.find("attn_k.") != std::string::npos;
  if (rotated && model.metadata().GetString("general.architecture").value() == "llama") {
    bytes = InHalves(bytes, tensor.dims[0] * (f32 ? 4 : 2), config.at("head_dim").get<size_t>());
  }
  if (IsGemmaModel(model) && tensor.name.ends_with("norm.weight")) bytes = WithoutOne(bytes);
  const bool narrow = spec.bf16 && tensor.n_dims > 1;
  shard->Add(name, narrow ? "BF16" : f32 ? "F32" : "F16", tensor, narrow ? AsBf16(bytes) : bytes);
}

}  // namespace

std::string BytesOfTensor(const TensorIndex& model, const IndexedTensor& tensor) {
  std::ifstream in(model.files()[tensor.extent.file].label, std::ios::binary);
  std::string bytes(tensor.extent.bytes, '\0');
  in.seekg(static_cast<std::streamoff>(tensor.extent.offset));
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  CHECK(in.good());
  return bytes;
}

void WriteHfCheckpoint(const TensorIndex& model, const HfCheckpointSpec& spec,
                       const std::string& folder) {
  std::filesystem::create_directories(folder);
  const Json config = HfConfigOf(model, spec);
  std::vector<HfShard> shards(static_cast<size_t>(spec.shards));
  Json places;
  const auto file_of = [&](size_t shard) {
    if (spec.shards == 1) return std::string("model.safetensors");
    return fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, spec.shards);
  };
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const IndexedTensor& tensor = model.tensors()[i];
    const std::string name = HfNameOf(model, tensor.name);
    if (name.empty()) continue;
    AddAsHf(model, tensor, spec, config, name, &shards[i % shards.size()]);
    places[name] = file_of(i % shards.size());
  }
  for (size_t i = 0; i < shards.size(); ++i) shards[i].Write(folder + "/" + file_of(i));
  if (spec.shards > 1) {
    std::ofstream(folder + "/model.safetensors.index.json") << Json{{"weight_map", places}}.dump();
  }
  std::ofstream(folder + "/config.json") << config.dump();
  std::ofstream(folder + "/tokenizer_config.json")
      << R"({"unk_token": "<unk>", "add_bos_token": true})";
  if (spec.tokenizer_json) {
    std::ofstream(folder + "/tokenizer.json") << SentencePieceJson(model.metadata()).dump();
  } else {
    std::ofstream(folder + "/tokenizer.model", std::ios::binary)
        << SentencePieceBytes(model.metadata());
  }
}

}  // namespace llmrun
