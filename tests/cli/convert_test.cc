// `llm-run convert`: a checkpoint as Hugging Face has it, made of a model of our own by going the
// other way, becomes that model again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "loader/open_model.h"
#include "tests/cli/llm.h"
#include "tests/support/hf_checkpoint.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

struct ConvertCase {
  const char* name;
  TinyLlamaSpec spec;
  HfCheckpointSpec checkpoint;
};

const ConvertCase kConvertCases[] = {
    {"Llama", {.n_layers = 3}, {}},
    {"LlamaInShards", {.n_layers = 3}, {.bf16 = true, .shards = 3}},
    {"LlamaIgnoresWindows", {}, {.config = {{"sliding_window", 3}}}},
    {"Mistral", {.window = 7}, {.class_name = "MistralForCausalLM", .tokenizer_json = true}},
    {"MistralWithoutWindow",
     {},
     {.class_name = "MistralForCausalLM", .config = {{"sliding_window", nullptr}}}},
    {"Qwen2",
     {.tied = true, .architecture = "qwen2"},
     {.class_name = "Qwen2ForCausalLM",
      .config = {{"sliding_window", 3}, {"use_sliding_window", false}},
      .shards = 2}},
    {"Qwen3",
     {.n_heads = 2, .architecture = "qwen3"},
     {.class_name = "Qwen3ForCausalLM", .config = {{"sliding_window", 3}}, .bf16 = true}},
    {"Gemma2",
     {.tied = true, .architecture = "gemma2"},
     {.class_name = "Gemma2ForCausalLM", .shards = 2, .tokenizer_json = true}},
    {"Gemma3",
     {.n_layers = 6, .n_heads = 2, .tied = true, .architecture = "gemma3"},
     {.class_name = "Gemma3ForCausalLM", .config = {{"sliding_window_pattern", 6}}}},
};

std::string LogitsOfFile(const std::string& path) {
  const ProcessResult result =
      Llm({"eval", "--tokens", "1 270 280 290 300 5 6 7 8 9 310 319", "--logits", "-", "-m", path});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

std::string IdsOfText(const std::string& path) {
  return Llm({"tokenize", "-m", path, "--special", "-p", "abc  <s> abab \xc3\xa9"}).out;
}

class CliConvert : public testing::TestWithParam<ConvertCase> {};

TEST_P(CliConvert, GivesTheModelThatTheCheckpointIs) {
  const auto& [name, spec, checkpoint] = GetParam();
  const std::string gguf = WriteModel("original.gguf", BuildTinyLlama(spec));
  const std::string folder = TempPath(name);
  WriteHfCheckpoint(OpenModel(gguf).value(), checkpoint, folder);
  const std::string out = TempPath("converted.gguf");
  const ProcessResult made = Llm({"convert", folder, out, "--outtype", "f32", "--force"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(LogitsOfFile(out), LogitsOfFile(gguf));
  EXPECT_EQ(LogitsOfFile(out).size(), 12 * spec.n_vocab * sizeof(float));
  EXPECT_EQ(IdsOfText(out), IdsOfText(gguf));
  EXPECT_NE(IdsOfText(gguf), "");
  // The same in half precision, which holds these weights exactly.
  const ProcessResult half = Llm({"convert", folder, out, "--force"});
  ASSERT_EQ(half.exit_code, 0) << half.err;
  const auto index = OpenModel(out);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->at(*index->Find("blk.0.attn_q.weight")).dtype, DType::kF16);
  EXPECT_EQ(index->at(*index->Find("blk.0.attn_norm.weight")).dtype, DType::kF32);
  EXPECT_EQ(index->metadata().GetString("general.name").value(), name);
  EXPECT_EQ(index->Find("output.weight").has_value(), !spec.tied);
}

INSTANTIATE_TEST_SUITE_P(All, CliConvert, testing::ValuesIn(kConvertCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(CliConvertRefuses, CheckpointsThatLackTensors) {
  const std::string gguf = WriteModel("lacks.gguf", BuildTinyLlama({}));
  const std::string folder = TempPath("lacks");
  WriteHfCheckpoint(OpenModel(gguf).value(), {.shards = 2}, folder);
  // One shard as if it were all.
  std::filesystem::remove(folder + "/model.safetensors.index.json");
  std::filesystem::rename(folder + "/model-00002-of-00002.safetensors",
                          folder + "/model.safetensors");
  const std::string out = TempPath("lacks-out.gguf");
  ExpectError(Llm({"convert", folder, out}), 65, "no tensor becomes 'blk.0.");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(CliConvertRefuses, WhatItCannotConvert) {
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
