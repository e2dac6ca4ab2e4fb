#include "model/pass_costs.h"

#include <gtest/gtest.h>

#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

WeightMatrix MatrixOf(DType type, int64_t rows, int64_t cols) {
  WeightMatrix matrix;
  matrix.dtype = type;
  matrix.row_bytes = RowBytes(type, static_cast<uint64_t>(cols));
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.quantized_input = UsesQuantizedActivations(type);
  return matrix;
}

// Two layers of 64 values, 2 heads of 32 with one of keys, 96 in the middle; 100 words.
LlamaWeights SmallWeights() {
  LlamaLayer layer;
  layer.q = MatrixOf(DType::kQ4_0, 64, 64);
  layer.k = MatrixOf(DType::kQ8_0, 32, 64);
  layer.v = MatrixOf(DType::kF16, 32, 64);
  layer.attn_output = MatrixOf(DType::kQ4_0, 64, 64);
  layer.ffn.gate = MatrixOf(DType::kQ4_0, 96, 64);
  layer.ffn.up = MatrixOf(DType::kQ4_0, 96, 64);
  layer.ffn.down = MatrixOf(DType::kQ4_0, 64, 96);
  LlamaWeights llama;
  llama.layers = {layer, layer};
  llama.output = MatrixOf(DType::kF32, 100, 64);
  return llama;
}

// 18 bytes for 32 values of Q4_0, 34 of Q8_0.
constexpr uint64_t kLayerBytes = 64 * 36 + 32 * 68 + 32 * 128 + 64 * 36 + 2 * 96 * 36 + 64 * 54;
constexpr uint64_t kLayerInt8 = 64 * 64 + 32 * 64 + 64 * 64 + 2 * 96 * 64 + 64 * 96;
constexpr uint64_t kLayerF32 = 32 * 64;
constexpr uint64_t kOutput = 100 * 64;

TEST(PassCosts, OfOneTokenReadAllMatricesOnce) {
  const PassCosts costs = CostsOfPass(SmallWeights(), 1, 1);
  EXPECT_EQ(costs.weight_bytes, 2 * kLayerBytes + 4 * kOutput);
  EXPECT_EQ(costs.macs[kPeakInt8], 2 * kLayerInt8);
  EXPECT_EQ(costs.macs[kPeakF32], 2 * kLayerF32 + kOutput);
}

TEST(PassCosts, OfAPromptHaveTheOutputOnlyForItsLogits) {
  const LlamaWeights llama = SmallWeights();
  const PassCosts costs = CostsOfPass(llama, 10, 1);
  EXPECT_EQ(costs.weight_bytes, 2 * kLayerBytes + 4 * kOutput);
  EXPECT_EQ(costs.macs[kPeakInt8], 20 * kLayerInt8);
  EXPECT_EQ(costs.macs[kPeakF32], 20 * kLayerF32 + kOutput);
  EXPECT_EQ(costs.AllMacs(), 20 * (kLayerInt8 + kLayerF32) + kOutput);
  EXPECT_EQ(CostsOfPass(llama, 10, 10).macs[kPeakF32], 20 * kLayerF32 + 10 * kOutput);
  EXPECT_EQ(CostsOfPass(llama, 10, 0).weight_bytes, 2 * kLayerBytes);
}

// Of eight experts each token goes to two.
TEST(PassCosts, OfExpertsAreThoseThatTokensGoTo) {
  LlamaWeights llama = SmallWeights();
  llama.n_experts_used = 2;
  for (LlamaLayer& layer : llama.layers) {
    layer.router = MatrixOf(DType::kF32, 8, 64);
    for (WeightMatrix* matrix : {&layer.ffn.gate, &layer.ffn.up, &layer.ffn.down}) {
      matrix->rows *= 8;
      matrix->n_experts = 8;
    }
  }
  constexpr uint64_t kExpertBytes = 2 * 96 * 36 + 64 * 54;
  constexpr uint64_t kExpertMacs = 2 * 96 * 64 + 64 * 96;
  constexpr uint64_t kOthers = kLayerBytes - kExpertBytes + 8 * 64 * 4;
  const PassCosts one = CostsOfPass(llama, 1, 1);
  EXPECT_EQ(one.weight_bytes, 2 * (kOthers + 2 * kExpertBytes) + 4 * kOutput);
  EXPECT_EQ(one.macs[kPeakInt8], 2 * (kLayerInt8 + kExpertMacs));
  EXPECT_EQ(one.macs[kPeakF32], 2 * (kLayerF32 + 8 * 64) + kOutput);
  const PassCosts three = CostsOfPass(llama, 3, 1);
  EXPECT_EQ(three.weight_bytes, 2 * (kOthers + 6 * kExpertBytes) + 4 * kOutput);
  EXPECT_EQ(three.macs[kPeakInt8], 6 * (kLayerInt8 + kExpertMacs));
  EXPECT_EQ(CostsOfPass(llama, 100, 0).weight_bytes, 2 * (kOthers + 8 * kExpertBytes));
}

TEST(PassCosts, TakeTheTimeOfAllKinds) {
  const PassCosts all = {.macs = {600, 100, 40}};
  EXPECT_DOUBLE_EQ(all.Seconds({300, 50, 10}), 8);
  const PassCosts floats = {.macs = {0, 100, 0}};
  EXPECT_DOUBLE_EQ(floats.Seconds({0, 50, 0}), 2) << "without a rate of what it has none of";
}

// Norms are F32, matrices are not.
TEST(PassCosts, OfAModelAreTheSizesOfItsMatrices) {
  const auto model = LoadedModel::Start(LLMRUN_SOURCE_DIR "/models/llm-run-tiny-q8_0.gguf");
  ASSERT_TRUE(model.has_value()) << model.error().OneLine();
  const Result<LlamaWeights> llama = BindLlama((*model)->config, *(*model)->weights);
  ASSERT_TRUE(llama.has_value());
  const bool tied = !(*model)->index.Find("output.weight").has_value();
  uint64_t bytes = 0;
  for (const IndexedTensor& tensor : (*model)->index.tensors()) {
    const bool embeddings = tensor.name == "token_embd.weight";
    if (tensor.n_dims == 2 && (!embeddings || tied)) bytes += tensor.extent.bytes;
  }
  EXPECT_EQ(CostsOfPass(*llama, 1, 1).weight_bytes, bytes);
}

}  // namespace
}  // namespace llmrun
