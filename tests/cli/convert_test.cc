// `llm-run convert`: a checkpoint as Hugging Face has it, made of a model of our own by going the
// other way, becomes that model again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loader/open_model.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using CheckpointJson = nlohmann::ordered_json;

// The names of a layer's parts, GGUF first.
const std::map<std::string, std::string> kHfParts = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

std::string HfName(const std::string& name) {
  if (name == "token_embd.weight") return "model.embed_tokens.weight";
  if (name == "output_norm.weight") return "model.norm.weight";
  if (name == "output.weight") return "lm_head.weight";
  const size_t layer_end = name.find('.', 4);
  const size_t part_end = name.find('.', layer_end + 1);
  return "model.layers." + name.substr(4, layer_end - 4) + "." +
         kHfParts.at(name.substr(layer_end + 1, part_end - layer_end - 1)) + name.substr(part_end);
}

// Pairs of rows of a head become its halves.
std::string Halves(const std::string& rows, size_t row_bytes, size_t head_dim) {
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

std::string SentencePieceOf(const TensorIndex& index) {
  const auto bytes_field = [](int number, const std::string& bytes) {
    std::string out(1, static_cast<char>(number << 3 | 2));
    out += static_cast<char>(bytes.size());  // all are short
    return out + bytes;
  };
  const Metadata& metadata = index.metadata();
  const auto& tokens =
      std::get<std::vector<std::string>>(metadata.GetArray("tokenizer.ggml.tokens").value()->data);
  const auto& scores =
      std::get<std::vector<float>>(metadata.GetArray("tokenizer.ggml.scores").value()->data);
  const auto& types =
      std::get<std::vector<int32_t>>(metadata.GetArray("tokenizer.ggml.token_type").value()->data);
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string score(4, '\0');
    std::memcpy(score.data(), &scores[i], sizeof scores[i]);
    out += bytes_field(
        1, bytes_field(1, tokens[i]) + '\x15' + score + '\x18' + static_cast<char>(types[i]));
  }
  return out + bytes_field(2, std::string("\x18\x02"));
}

// The folder of a checkpoint that says what this GGUF of F32 says.
std::string WriteCheckpoint(const std::string& gguf, const TinyLlamaSpec& spec) {
  const std::string folder = TempPath("checkpoint");
  std::filesystem::create_directories(folder);
  const TensorIndex index = OpenModel(gguf).value();
  std::ifstream in(gguf, std::ios::binary);
  const std::string file((std::istreambuf_iterator<char>(in)), {});
  CheckpointJson header;
  std::string data;
  for (const IndexedTensor& tensor : index.tensors()) {
    std::string bytes = file.substr(tensor.extent.offset, tensor.extent.bytes);
    const bool rotated = tensor.name.find("attn_q.") != std::string::npos ||
                         tensor.name.find("attn_k.") != std::string::npos;
    if (rotated) bytes = Halves(bytes, tensor.dims[0] * 4, spec.d_model / spec.n_heads);
    CheckpointJson shape = CheckpointJson::array();
    for (int i = tensor.n_dims; i > 0; --i) shape.push_back(tensor.dims[i - 1]);
    header[HfName(tensor.name)] = {{"dtype", "F32"},
                                   {"shape", shape},
                                   {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data += bytes;
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::ofstream out(folder + "/model.safetensors", std::ios::binary);
  out.write(reinterpret_cast<const char*>(&size), sizeof size);
  out << text << data;
  const CheckpointJson config = {{"architectures", {"LlamaForCausalLM"}},
                                 {"hidden_size", spec.d_model},
                                 {"intermediate_size", spec.d_ff},
                                 {"max_position_embeddings", spec.n_context},
                                 {"vocab_size", spec.n_vocab},
                                 {"num_hidden_layers", spec.n_layers},
                                 {"num_attention_heads", spec.n_heads},
                                 {"num_key_value_heads", spec.n_kv_heads},
                                 {"rms_norm_eps", 1e-5},
                                 {"hidden_act", "silu"},
                                 {"bos_token_id", 1},
                                 {"eos_token_id", 2}};
  std::ofstream(folder + "/config.json") << config.dump();
  std::ofstream(folder + "/tokenizer.model", std::ios::binary) << SentencePieceOf(index);
  std::ofstream(folder + "/tokenizer_config.json") << R"({"unk_token": "<unk>"})";
  return folder;
}

TEST(CliConvert, GivesTheModelThatTheCheckpointIs) {
  const TinyLlamaSpec spec = {.n_layers = 3};
  const std::string gguf = WriteModel("original.gguf", BuildTinyLlama(spec));
  const std::string folder = WriteCheckpoint(gguf, spec);
  const std::string out = TempPath("converted.gguf");
  const ProcessResult made = Llm({"convert", folder, out, "--outtype", "f32", "--force"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::vector<std::string> ask = {"eval", "--tokens", "1 270 280 290", "--logits", "-", "-m"};
  const auto logits = [&](const std::string& path) {
    std::vector<std::string> args = ask;
    args.push_back(path);
    return Llm(args).out;
  };
  EXPECT_EQ(logits(out), logits(gguf));
  EXPECT_EQ(logits(out).size(), 4 * spec.n_vocab * sizeof(float));
  const auto ids = [](const std::string& path) {
    return Llm({"tokenize", "-m", path, "--special", "-p", "abc <s> \xc3\xa9"}).out;
  };
  EXPECT_EQ(ids(out), ids(gguf));
  // The same in half precision, which holds these weights exactly.
  const ProcessResult half = Llm({"convert", folder, out, "--force"});
  ASSERT_EQ(half.exit_code, 0) << half.err;
  const auto index = OpenModel(out);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->at(*index->Find("blk.0.attn_q.weight")).dtype, DType::kF16);
  EXPECT_EQ(index->at(*index->Find("blk.0.attn_norm.weight")).dtype, DType::kF32);
  EXPECT_EQ(index->metadata().GetUint("general.file_type").value(), 1U);
  EXPECT_EQ(index->metadata().GetString("general.name").value(), "checkpoint");
}

TEST(CliConvert, RefusesWhatItCannotConvert) {
  const std::string folder = TempPath("empty");
  std::filesystem::create_directories(folder);
  const std::string out = TempPath("refused.gguf");
  ExpectError(Llm({"convert", folder, out}), 66, "config.json");
  std::ofstream(folder + "/config.json") << R"({"architectures": ["MambaForCausalLM"]})";
  ExpectError(Llm({"convert", folder, out}), 69, "MambaForCausalLM");
  ExpectError(Llm({"convert", folder, out, "--outtype", "q4_k_m"}), 64, "llm-run quantize");
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace llmrun
