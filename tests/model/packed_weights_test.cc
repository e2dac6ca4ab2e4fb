// Sessions with weights that were packed while they were loaded.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "model/session.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

struct Outcome {
  std::vector<float> logits;  // of a prompt, then of single tokens
  uint64_t packed_bytes = 0;
};

Outcome Compute(const std::string& path, const LoadOptions& load, bool pack) {
  const auto model = LoadedModel::Start(path, {.load = load, .pack = pack}).value();
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(3);
  const auto session = model->NewSession(*pool, {.isa = SupportedIsaLevels().back()}).value();
  Outcome outcome;
  const auto add = [&](std::span<const float> logits) {
    outcome.logits.insert(outcome.logits.end(), logits.begin(), logits.end());
  };
  add(session->Forward(std::vector<TokenId>{1, 40, 7, 300, 41, 9, 200}, LogitsOf::kAll).value());
  for (const TokenId token : {5, 260, 17}) {
    add(session->Forward(std::vector<TokenId>{token}, LogitsOf::kLast).value());
  }
  outcome.packed_bytes = model->weights->Finish().value().packed_bytes;
  return outcome;
}

TEST(PackedWeights, GiveTheSameLogits) {
  const std::string path = std::string(LLMRUN_SOURCE_DIR) + "/models/llm-run-tiny-q8_0.gguf";
  const LoadOptions load{.loader = LoaderKind::kRead, .hugepages = HugePages::kOff};
  const Outcome plain = Compute(path, load, false);
  const Outcome packed = Compute(path, load, true);
  EXPECT_EQ(plain.packed_bytes, 0U);
  EXPECT_GT(packed.packed_bytes, std::filesystem::file_size(path) / 2);
  EXPECT_EQ(packed.logits, plain.logits);
  LoadOptions mapped = load;
  mapped.loader = LoaderKind::kMmap;
  EXPECT_EQ(Compute(path, mapped, true).logits, plain.logits);
}

}  // namespace
}  // namespace llmrun
