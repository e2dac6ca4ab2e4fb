// Models of other programs as checkpoints, converted: the same tensors, metadata and logits.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/open_model.h"
#include "tests/cli/llm.h"
#include "tests/support/hf_checkpoint.h"
#include "tests/support/oracle.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

struct ConvertOracleCase {
  const char* folder;
  HfCheckpointSpec checkpoint;
};

const nlohmann::json kLlama31Scaling = {{"rope_type", "llama3"},
                                        {"factor", 8.0},
                                        {"low_freq_factor", 1.0},
                                        {"high_freq_factor", 4.0},
                                        {"original_max_position_embeddings", 64}};

const ConvertOracleCase kConvertOracleCases[] = {
    {"arch/llama31-ropefreqs-f16", {.config = {{"rope_scaling", kLlama31Scaling}}, .shards = 2}},
    {"quant/llama-f32", {.class_name = "MistralForCausalLM", .tokenizer_json = true}},
    {"arch/qwen2-f16", {.class_name = "Qwen2ForCausalLM"}},
    {"arch/qwen3-f16", {.class_name = "Qwen3ForCausalLM", .shards = 3}},
    {"arch/gemma2-f16", {.class_name = "Gemma2ForCausalLM", .tokenizer_json = true}},
    {"arch/gemma3-f16", {.class_name = "Gemma3ForCausalLM"}},
};

std::string ContentsOf(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::vector<float> FloatsIn(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

bool SameValue(const MetaScalar& a, const MetaScalar& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, MetaArray>) {
          return value.data == std::get<T>(b).data;
        } else {
          return value == std::get<T>(b);
        }
      },
      a);
}

// All keys of the original but those that are about the file.
void ExpectSameMetadata(const Metadata& got, const Metadata& want) {
  int compared = 0;
  for (const MetaEntry& entry : want.entries()) {
    const bool of_file = entry.key.starts_with("general.") && entry.key != "general.architecture";
    // A name without meaning for this kind of tokenizer; false, as it is where it is not said.
    if (of_file || entry.key == "tokenizer.ggml.pre" || entry.key == "tokenizer.ggml.scores" ||
        entry.key == "tokenizer.ggml.add_eos_token") {
      continue;
    }
    const MetaEntry* found = got.Find(entry.key);
    ASSERT_NE(found, nullptr) << entry.key;
    EXPECT_TRUE(SameValue(found->value, entry.value)) << entry.key;
    ++compared;
  }
  EXPECT_GE(compared, 15);
}

class ConvertOracle : public testing::TestWithParam<ConvertOracleCase> {};

TEST_P(ConvertOracle, GivesTheSameModel) {
  const auto& [folder, checkpoint] = GetParam();
  const std::filesystem::path original = OracleRoot() / folder;
  if (!std::filesystem::exists(original)) GTEST_SKIP() << "no oracle data at " << original;
  const TensorIndex want = OpenModel((original / "model.gguf").string()).value();
  const std::string hf = TempPath(original.filename());
  WriteHfCheckpoint(want, checkpoint, hf);
  const std::string out = TempPath("oracle.gguf");
  const bool f32 = std::string(folder).ends_with("f32");
  const ProcessResult made = Llm({"convert", hf, out, "--force", "--outtype", f32 ? "f32" : "f16"});
  ASSERT_EQ(made.exit_code, 0) << made.err;

  const TensorIndex got = OpenModel(out).value();
  EXPECT_EQ(got.tensors().size(), want.tensors().size());
  for (const IndexedTensor& tensor : want.tensors()) {
    const auto id = got.Find(tensor.name);
    ASSERT_TRUE(id) << tensor.name;
    EXPECT_EQ(got.at(*id).dims, tensor.dims) << tensor.name;
    ASSERT_EQ(got.at(*id).dtype, tensor.dtype) << tensor.name;
    const std::string bytes = BytesOfTensor(got, got.at(*id));
    const std::string wanted = BytesOfTensor(want, tensor);
    if (tensor.dtype != DType::kF32) {
      EXPECT_EQ(bytes, wanted) << tensor.name;
    } else {  // norms less 1 and factors of RoPE were rounded on their ways
      EXPECT_LE(Nmse(FloatsIn(bytes), FloatsIn(wanted)), 1e-13) << tensor.name;
    }
  }
  ExpectSameMetadata(got.metadata(), want.metadata());

  std::string tokens = ContentsOf(original / "tokens.txt");
  const ProcessResult logits = Llm({"eval", "--tokens", tokens, "--logits", "-", "-m", out});
  ASSERT_EQ(logits.exit_code, 0) << logits.err;
  const std::vector<float> truth = FloatsIn(ContentsOf(original / "logits_true.f32"));
  ASSERT_EQ(logits.out.size(), truth.size() * sizeof(float));
  const auto meta = nlohmann::json::parse(ContentsOf(original / "meta.json"));
  const double bound = std::max(1e-5, 1.5 * meta.at("peer_nmse").get<double>());
  EXPECT_LE(Nmse(FloatsIn(logits.out), truth), bound);
}

INSTANTIATE_TEST_SUITE_P(All, ConvertOracle, testing::ValuesIn(kConvertOracleCases),
                         [](const auto& test) {
                           std::string name = test.param.folder;
                           std::erase_if(name, [](unsigned char c) { return !std::isalnum(c); });
                           return name;
                         });

}  // namespace
}  // namespace llmrun
