// Importance matrices measured by running a model, against what the float64 reference multiplies
// its matrices with.
#include "model/importance_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "loader/io/file_byte_source.h"
#include "model/importance.h"
#include "tests/support/loaded_model.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

constexpr size_t kTokens = 24;

std::vector<TokenId> Text() { return TokensFrom(5, kTokens); }

// A model, measured and written.
struct Measured {
  TempFile model_file;
  std::unique_ptr<LoadedModel> model;
  TempFile file{{}};
  size_t matrices = 0;

  Measured(const TinyLlamaSpec& spec, int threads, int64_t n_batch)
      : model_file(BuildTinyLlama(spec)), model(LoadedModel::Start(model_file.path()).value()) {
    ImportanceCollector collector(model->index);
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
    SessionOptions options;
    options.kv_type = DType::kF32;
    options.n_batch = n_batch;
    options.importance = &collector;
    const auto session = model->NewSession(*pool, options).value();
    EXPECT_TRUE(session->Forward(Text(), LogitsOf::kAll));
    matrices = collector.matrices();
    EXPECT_TRUE(collector.Write(file.path(), "text.txt", 1, kTokens));
  }
};

// Mean squares of columns, by tensor and expert.
using MeanSquares = std::map<std::pair<std::string, size_t>, std::vector<double>>;

MeanSquares ReferenceOf(const TensorIndex& index) {
  MeanSquares sums;
  std::map<std::pair<std::string, size_t>, double> counts;
  ReferenceOptions options;
  options.on_product = [&](const std::string& name, size_t expert, std::span<const double> x) {
    std::vector<double>& sum = sums[{name, expert}];
    sum.resize(x.size());
    for (size_t i = 0; i < x.size(); ++i) sum[i] += x[i] * x[i];
    ++counts[{name, expert}];
  };
  ReferenceLlama(index, options).Logits(Text());
  for (auto& [key, sum] : sums) {
    for (double& value : sum) value /= counts[key];
  }
  return sums;
}

struct Kind {
  const char* name;
  TinyLlamaSpec spec;
  size_t matrices;  // in the file
  double bound = 1e-5;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

const Kind kKinds[] = {
    {"Llama", {}, 14},
    {"LlamaQ8", {.dtype = DType::kQ8_0}, 14, 5e-2},
    {"LlamaTied", {.tied = true}, 14},
    {"Bitnet", {.architecture = "bitnet"}, 14},
    {"Phi3", {.architecture = "phi3"}, 8},
    {"Experts2Of4", {.n_experts = 4, .n_experts_used = 2}, 14},
    {"Experts5Of40", {.d_ff = 96, .n_experts = 40, .n_experts_used = 5}, 14},
    {"Qwen3Experts", {.architecture = "qwen3moe", .n_experts = 8, .n_experts_used = 3}, 14},
    {"DeepseekV3",
     {.n_layers = 3,
      .n_kv_heads = 4,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 3,
      .deepseek_v3 = true},
     30},
    {"DeepseekV3Latents",
     {.n_layers = 3,
      .n_kv_heads = 1,
      .architecture = "deepseek2",
      .n_experts = 8,
      .n_experts_used = 3,
      .deepseek_v3 = true,
      .cached_latents = true},
     33},
};

class ImportanceOf : public testing::TestWithParam<Kind> {};

TEST_P(ImportanceOf, IsWhatTheReferenceMultipliesWith) {
  const Measured measured(GetParam().spec, 2, 7);
  const TensorIndex& index = measured.model->index;
  const ImportanceMatrix importance = ImportanceMatrix::Open(measured.file.path()).value();
  EXPECT_EQ(importance.size(), measured.matrices);
  EXPECT_EQ(importance.size(), GetParam().matrices);
  size_t compared = 0;
  for (const auto& [key, truth] : ReferenceOf(index)) {
    const auto& [name, expert] = key;
    const std::optional<TensorId> id = index.Find(name);
    if (!id) continue;  // in the file it is a part of a tensor
    const Dims& dims = index.at(*id).dims;
    const float* found = importance.Find(name, truth.size(), expert, dims[2]).value();
    const bool left_out = name == "output.weight" || name == "token_embd.weight" ||
                          name.ends_with("ffn_gate_inp.weight");
    ASSERT_EQ(found == nullptr, left_out) << name;
    if (left_out) continue;
    double sum = 0;
    for (const double value : truth) sum += value;
    const double mean = sum / static_cast<double>(truth.size());
    for (size_t i = 0; i < truth.size(); ++i) {
      ASSERT_NEAR(found[i], truth[i], GetParam().bound * (truth[i] + mean))
          << name << " expert " << expert << " column " << i;
    }
    ++compared;
  }
  EXPECT_GE(compared, 6U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, ImportanceOf, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

std::vector<std::byte> BytesOf(const std::string& path) {
  const auto source = FileByteSource::Open(path).value();
  std::vector<std::byte> bytes(source->SizeBytes());
  EXPECT_TRUE(source->ReadAt(0, bytes));
  return bytes;
}

TEST(ImportanceCollector, GivesTheSameBytesWithAnyNumberOfThreadsAndBatches) {
  const std::vector<std::byte> one = BytesOf(Measured({}, 1, 512).file.path());
  EXPECT_EQ(BytesOf(Measured({}, 3, 512).file.path()), one);
  EXPECT_EQ(BytesOf(Measured({}, 2, 5).file.path()), one);
  EXPECT_EQ(BytesOf(Measured({}, 2, 1).file.path()), one);
}

// Each token goes to as many experts as it uses, whether alone or with others.
TEST(ImportanceCollector, CountsTheTokensOfExperts) {
  for (const int64_t n_batch : {1, 24}) {
    const Measured measured({.n_experts = 4, .n_experts_used = 2}, 2, n_batch);
    const auto source = FileByteSource::Open(measured.file.path()).value();
    const GgufFile file = ParseGguf(*source).value();
    size_t found = 0;
    for (const TensorInfo& tensor : file.tensors) {
      if (!tensor.name.ends_with("_exps.weight.counts")) continue;
      std::vector<float> counts(4);
      ASSERT_EQ(tensor.bytes, counts.size() * sizeof(float));
      ASSERT_TRUE(source->ReadAt(tensor.file_offset, std::as_writable_bytes(std::span(counts))));
      EXPECT_EQ(counts[0] + counts[1] + counts[2] + counts[3], 2.0F * kTokens) << tensor.name;
      ++found;
    }
    EXPECT_EQ(found, 6U);
  }
}

}  // namespace
}  // namespace llmrun
