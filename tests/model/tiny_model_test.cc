// The models that come with the source say what they said when they were trained.
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "model/generator.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/loaded_model.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

using Mode = KernelTuning::Mode;

// A shipped model, ready to talk.
class Shipped {
 public:
  explicit Shipped(const std::string& name, Mode kernels = Mode::kMultiply)
      : model_(LoadedModel::Start(LLMRUN_SOURCE_DIR "/models/" + name).value()),
        tokenizer_(
            Tokenizer::Create(TokenizerSpecFromMetadata(model_->index.metadata()).value()).value()),
        pool_(MakeTestPool(2)),
        session_(model_
                     ->NewSession(*pool_, {.kv_type = DType::kF32,
                                           .isa = SupportedIsaLevels().back(),
                                           .kernels = {.mode = kernels}})
                     .value()) {}

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Session& session() const { return *session_; }

  // The likeliest text of `count` tokens after the prompt.
  std::string Continue(const std::string& prompt, size_t count) {
    std::string text;
    GenerateOptions generate;
    generate.max_tokens = static_cast<int64_t>(count);
    generate.ignore_eos = true;
    generate.on_text = [&](std::string_view piece) {
      text += piece;
      return true;
    };
    SamplerOptions greedy;
    greedy.temperature = 0;
    greedy.repeat_penalty = 1;
    Sampler sampler = Sampler::Create(greedy).value();
    session_->Truncate(0);
    const auto ids = tokenizer_->Encode(prompt, {.add_special = true});
    const auto result = Generate(*session_, *tokenizer_, sampler, ids, generate);
    EXPECT_TRUE(result) << result.error().OneLine();
    return text;
  }

  // Of each of the tokens, fed one by one.
  std::vector<float> Logits(const std::vector<TokenId>& tokens) {
    std::vector<float> all;
    session_->Truncate(0);
    for (const TokenId& token : tokens) {
      const auto logits = session_->Forward(std::span(&token, 1), LogitsOf::kLast).value();
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

 private:
  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Session> session_;
};

nlohmann::json MetaOf(const std::string& folder) {
  std::ifstream file(LLMRUN_SOURCE_DIR "/tests/data/" + folder + "/meta.json");
  EXPECT_TRUE(file.good()) << folder;
  return nlohmann::json::parse(file);
}

struct TinyCase {
  const char* file;
  const char* folder;  // of test data
  Mode kernels;
  // Between the two best tokens. Where a continuation comes nearer, rounding may choose the other.
  double least_margin;
};

class TinyModel : public ::testing::TestWithParam<TinyCase> {};

TEST_P(TinyModel, ContinuesPromptsAsItWasTrainedTo) {
  Shipped model(GetParam().file, GetParam().kernels);
  int compared = 0;
  const nlohmann::json meta = MetaOf(GetParam().folder);
  for (const nlohmann::json& sample : meta.at("greedy")) {
    const std::string prompt = sample.at("prompt");
    EXPECT_EQ(model.tokenizer().Encode(prompt, {.add_special = true}),
              sample.at("prompt_ids").get<std::vector<TokenId>>());
    if (sample.at("smallest_margin").get<double>() < GetParam().least_margin) continue;
    ++compared;
    const auto expected = sample.at("ids").get<std::vector<TokenId>>();
    EXPECT_EQ(model.Continue(prompt, expected.size()), model.tokenizer().Decode(expected));
  }
  EXPECT_GE(compared, 2);
}

// The logits of the test data's tokens are within 0.085 of the truth.
constexpr double kRounding = 2 * 0.085;
constexpr char kTq2[] = "llm-run-tiny-ternary-tq2_0.gguf";
constexpr char kI2s[] = "llm-run-tiny-ternary-i2_s.gguf";

INSTANTIATE_TEST_SUITE_P(
    All, TinyModel,
    ::testing::Values(TinyCase{"llm-run-tiny-f16.gguf", "tiny", Mode::kMultiply, 0},
                      TinyCase{kTq2, "tiny-ternary", Mode::kMultiply, kRounding},
                      TinyCase{kTq2, "tiny-ternary", Mode::kLookUp, kRounding},
                      TinyCase{kI2s, "tiny-ternary", Mode::kMultiply, kRounding},
                      TinyCase{kI2s, "tiny-ternary", Mode::kLookUp, kRounding}));

// One type has a scale for each 256 weights, the other one for a matrix: the same values, whose
// sums are scaled before or after they are added up. A rounding of that may round an activation the
// other way, which is all that differs. Kernels do not differ in a bit.
TEST(TinyTernaryModel, ThinksTheSameInBothTypesAndWithBothKernels) {
  const std::vector<TokenId> tokens = MetaOf("tiny-ternary").at("greedy").at(0).at("ids");
  std::vector<std::vector<float>> logits;
  for (const char* file : {kTq2, kI2s}) {
    Shipped looked_up(file, Mode::kLookUp);
    EXPECT_GT(looked_up.session().tuned().choices.size(), 0U) << file;
    logits.push_back(Shipped(file).Logits(tokens));
    EXPECT_TRUE(looked_up.Logits(tokens) == logits.back()) << file;
  }
  EXPECT_LE(Nmse(logits[1], logits[0]), 1e-6);
}

}  // namespace
}  // namespace llmrun
