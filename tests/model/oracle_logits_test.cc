// Logits held against known truths: the oracle cases (where they are at hand) on every instruction
// set of this processor, and the shipped tiny model.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "loader/open_model.h"
#include "tests/support/loaded_model.h"
#include "tests/support/oracle.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

std::vector<TokenId> ReadTokens(const fs::path& path) {
  std::ifstream in(path);
  std::vector<TokenId> tokens;
  for (TokenId id = 0; in >> id;) tokens.push_back(id);
  return tokens;
}

std::vector<float> ReadFloats(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<float> values(fs::file_size(path) / sizeof(float));
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(float)));
  EXPECT_TRUE(in.good()) << path;
  return values;
}

// NMSE of the model's logits, with an F32 KV cache, against `truth_folder`/logits_true.f32.
double MeasureNmse(const fs::path& model_path, const fs::path& truth_folder, IsaLevel isa) {
  const auto model = LoadedModel::Start(model_path);
  if (!model) {
    ADD_FAILURE() << model.error().OneLine();
    return INFINITY;
  }
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(2);
  SessionOptions options;
  options.kv_type = DType::kF32;
  options.isa = isa;
  const std::vector<TokenId> tokens = ReadTokens(truth_folder / "tokens.txt");
  const auto session = (*model)->NewSession(*pool, options);
  if (!session) {
    ADD_FAILURE() << session.error().OneLine();
    return INFINITY;
  }
  const auto logits = (*session)->Forward(tokens, LogitsOf::kAll);
  if (!logits) {
    ADD_FAILURE() << logits.error().OneLine();
    return INFINITY;
  }
  const std::vector<float> truth = ReadFloats(truth_folder / "logits_true.f32");
  EXPECT_EQ(logits->size(), truth.size());
  if (logits->size() != truth.size()) return INFINITY;
  return Nmse(*logits, truth);
}

enum class Precision { kF32, kHalf, kQuantized };

struct OracleCase {
  const char* folder;
  Precision precision;
  const char* peer = nullptr;  // the case with the same logits whose peer counts; null: this one
};

double BoundOf(Precision precision, double peer_nmse) {
  if (precision == Precision::kF32) return 1e-9;
  if (precision == Precision::kHalf) return std::max(1e-5, 1.5 * peer_nmse);
  return 1.5 * peer_nmse;
}

double PeerNmse(const OracleCase& of) {
  const fs::path folder = OracleRoot() / (of.peer != nullptr ? of.peer : of.folder);
  std::ifstream meta_file(folder / "meta.json");
  return nlohmann::json::parse(meta_file).at("peer_nmse").get<double>();
}

class OracleLogits : public ::testing::TestWithParam<std::tuple<OracleCase, IsaLevel>> {};

TEST_P(OracleLogits, AreNearTheTruth) {
  const auto& [oracle_case, isa] = GetParam();
  const fs::path folder = OracleRoot() / oracle_case.folder;
  if (!fs::exists(folder)) GTEST_SKIP() << "no oracle data at " << folder;
  const double peer_nmse = PeerNmse(oracle_case);
  const double bound = BoundOf(oracle_case.precision, peer_nmse);
  const double nmse = MeasureNmse(folder / "model.gguf", folder, isa);
  std::printf("%-28s %-11s nmse %.3g  bound %.3g  peer %.3g\n", oracle_case.folder,
              std::string(NameOf(isa)).c_str(), nmse, bound, peer_nmse);
  EXPECT_LE(nmse, bound);
}

constexpr OracleCase kCases[] = {
    {"quant/llama-f32", Precision::kF32},
    {"quant/llama-f16", Precision::kHalf},
    {"quant/llama-bf16", Precision::kHalf},
    {"quant/llama-q8_0", Precision::kQuantized},
    {"quant/llama-q4_0", Precision::kQuantized},
    {"quant/llama-q4_k", Precision::kQuantized},
    {"quant/llama-q4_k_m", Precision::kQuantized},
    {"quant/llama-q6_k", Precision::kQuantized},
    {"quant/llama-q4_1", Precision::kQuantized},
    {"quant/llama-q5_0", Precision::kQuantized},
    {"quant/llama-q5_1", Precision::kQuantized},
    {"quant/llama-q2_k", Precision::kQuantized},
    {"quant/llama-q2_k_mix", Precision::kQuantized},
    {"quant/llama-q3_k", Precision::kQuantized},
    {"quant/llama-q3_k_m", Precision::kQuantized},
    {"quant/llama-q5_k", Precision::kQuantized},
    {"quant/llama-q5_k_m", Precision::kQuantized},
    {"quant/llama-iq4_nl", Precision::kQuantized},
    {"quant/llama-iq4_xs", Precision::kQuantized},
    {"quant/llama-tq1_0", Precision::kQuantized},
    {"quant/llama-tq2_0", Precision::kQuantized},
    {"quant/llama-mxfp4", Precision::kQuantized},
    {"quant/llama-i2_s", Precision::kQuantized},
    {"quant/llama-iq2_bn", Precision::kQuantized},
    {"arch/llama31-ropefreqs-f16", Precision::kHalf},
    {"arch/mixtral-f16", Precision::kHalf},
    {"arch/mixtral-q4_0", Precision::kQuantized},
    {"arch/qwen2-f16", Precision::kHalf},
    {"arch/qwen3-f16", Precision::kHalf},
    {"arch/qwen3moe-f16", Precision::kHalf},
    {"arch/olmo2-f16", Precision::kHalf},
    {"arch/stablelm-f16", Precision::kHalf},
    {"arch/phi3-f16", Precision::kHalf},
    {"arch/phi3-longrope-f16", Precision::kHalf},
    {"arch/gemma2-f16", Precision::kHalf},
    {"arch/gemma3-f16", Precision::kHalf},
    {"arch/deepseek2-f16", Precision::kHalf},
    {"arch/gpt-oss-f16", Precision::kHalf},
    {"arch/gpt-oss-mxfp4", Precision::kQuantized},
    {"arch/bitnet-tq1_0", Precision::kQuantized},
    {"arch/bitnet-tq2_0", Precision::kQuantized},
    {"arch/bitnet-b1.58-i2_s", Precision::kQuantized},
    {"arch/bitnet-b1.58-iq2_bn", Precision::kQuantized},
    {"arch/bitnet-b1.58-tq2_0", Precision::kQuantized, "arch/bitnet-b1.58-iq2_bn"},
};

std::string CaseName(const ::testing::TestParamInfo<std::tuple<OracleCase, IsaLevel>>& info) {
  std::string name = std::get<0>(info.param).folder;
  name += "_";
  name += NameOf(std::get<1>(info.param));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, OracleLogits,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::ValuesIn(SupportedIsaLevels())),
                         CaseName);

// Single cases are samples of rounding noise; all of them together are not.
TEST(OracleQuants, AreNearerToTheTruthThanOtherPrograms) {
  double sum = 0;
  int cases = 0;
  for (const OracleCase& oracle_case : kCases) {
    const fs::path folder = OracleRoot() / oracle_case.folder;
    if (oracle_case.precision != Precision::kQuantized || !fs::exists(folder)) continue;
    const double nmse = MeasureNmse(folder / "model.gguf", folder, SupportedIsaLevels().back());
    sum += std::log(nmse / PeerNmse(oracle_case));
    ++cases;
  }
  if (cases == 0) GTEST_SKIP() << "no oracle data at " << OracleRoot();
  std::printf("geometric mean of %d cases: %.3f of the others' errors\n", cases,
              std::exp(sum / cases));
  EXPECT_LE(std::exp(sum / cases), 1.0);
}

// The truth is that of the F16 file; Q8_0 has other weights too, and 8-bit activations. The ternary
// files have the weights that their truth was made from: what differs are 8-bit activations, with a
// scale for each 32 of them. With one for all of a token the error is int8_vs_exact_logits.nmse of
// meta.json, which is the bound.
constexpr double kInt8Nmse = 4.8688e-5;
struct TinyLogitsCase {
  const char* file;
  const char* name;
  const char* folder;
  double bound;
};

class TinyModelLogits : public ::testing::TestWithParam<std::tuple<TinyLogitsCase, IsaLevel>> {};

TEST_P(TinyModelLogits, AreNearTheTruth) {
  const auto& [tiny, isa] = GetParam();
  const fs::path root = LLMRUN_SOURCE_DIR;
  const double nmse =
      MeasureNmse(root / "models" / tiny.file, root / "tests/data" / tiny.folder, isa);
  std::printf("%-34s %-11s nmse %.3g  bound %.3g\n", tiny.file, std::string(NameOf(isa)).c_str(),
              nmse, tiny.bound);
  EXPECT_LE(nmse, tiny.bound);
}

INSTANTIATE_TEST_SUITE_P(
    All, TinyModelLogits,
    ::testing::Combine(
        ::testing::Values(
            TinyLogitsCase{"llm-run-tiny-f16.gguf", "F16", "tiny", 1e-9},
            TinyLogitsCase{"llm-run-tiny-q8_0.gguf", "Q8_0", "tiny", 5e-4},
            TinyLogitsCase{"llm-run-tiny-ternary-tq2_0.gguf", "TQ2_0", "tiny-ternary", kInt8Nmse},
            TinyLogitsCase{"llm-run-tiny-ternary-i2_s.gguf", "I2_S", "tiny-ternary", kInt8Nmse}),
        ::testing::ValuesIn(SupportedIsaLevels())),
    [](const auto& test) {
      return fmt::format("{}_{}", std::get<0>(test.param).name, NameOf(std::get<1>(test.param)));
    });

// What every type stands for: logits in float64 from the decoded values, which the truth was made
// from by another program.
class OracleValues : public ::testing::TestWithParam<const char*> {};

TEST_P(OracleValues, GiveTheTruth) {
  const fs::path folder = OracleRoot() / "quant" / fmt::format("llama-{}", GetParam());
  if (!fs::exists(folder)) GTEST_SKIP() << "no oracle data at " << folder;
  const auto index = OpenModel(folder / "model.gguf");
  ASSERT_TRUE(index) << index.error().OneLine();
  std::vector<TokenId> tokens = ReadTokens(folder / "tokens.txt");
  tokens.resize(4);
  const std::vector<double> logits = ReferenceLlama(*index).Logits(tokens);
  std::vector<float> truth = ReadFloats(folder / "logits_true.f32");
  ASSERT_GT(truth.size(), logits.size());
  truth.resize(logits.size());
  EXPECT_LE(Nmse(truth, logits), 1e-11);
}

INSTANTIATE_TEST_SUITE_P(Types, OracleValues,
                         ::testing::Values("f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1",
                                           "q8_0", "q2_k", "q2_k_mix", "q3_k", "q3_k_m", "q4_k",
                                           "q4_k_m", "q5_k", "q5_k_m", "q6_k", "iq4_nl", "iq4_xs",
                                           "tq1_0", "tq2_0", "mxfp4", "iq2_bn"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace llmrun
