// What integer arithmetic costs: the perplexity of our own model with Q4_K weights against that of
// the same weights as floats, with activations that are not quantized.
#include <algorithm>
#include <cmath>

#include "compute/codec.h"
#include "compute/quantize.h"
#include "loader/gguf/gguf_writer.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

std::vector<float> Values(const IndexedTensor& tensor, const std::string& file) {
  const uint64_t n = tensor.dims[0] * tensor.dims[1];
  std::vector<float> values(n);
  EXPECT_TRUE(DequantizeRow(tensor.dtype,
                            std::as_bytes(std::span(file)).data() + tensor.extent.offset,
                            static_cast<int64_t>(n), values.data()));
  return values;
}

// The model with matrices in Q4_K, or with the floats that these stand for.
std::vector<std::byte> Rewrite(const TensorIndex& index, const std::string& file, bool as_floats) {
  GgufWriter writer;
  for (const MetaEntry& entry : index.metadata().entries()) {
    const bool wanted = entry.key.starts_with("llama.") || entry.key == "general.architecture";
    if (wanted) writer.Add(entry.key, entry.type, entry.value);
  }
  std::vector<std::byte> data;
  for (const IndexedTensor& tensor : index.tensors()) {
    std::vector<float> values = Values(tensor, file);
    std::span<const std::byte> bytes = std::as_bytes(std::span(values));
    std::vector<std::byte> blocks;
    DType type = DType::kF32;
    std::vector<uint64_t> dims = {tensor.dims[0]};
    if (tensor.n_dims == 2) {
      dims.push_back(tensor.dims[1]);
      blocks.resize(RowBytes(DType::kQ4_K, values.size()));
      EXPECT_TRUE(QuantizeRow(DType::kQ4_K, values.data(), static_cast<int64_t>(values.size()),
                              nullptr, blocks.data()));
      if (as_floats) {
        EXPECT_TRUE(DequantizeRow(DType::kQ4_K, blocks.data(), static_cast<int64_t>(values.size()),
                                  values.data()));
      } else {
        type = DType::kQ4_K;
        bytes = blocks;
      }
    }
    EXPECT_TRUE(writer.AddTensor(tensor.name, type, dims));
    data.resize(writer.tensors().back().offset);
    data.insert(data.end(), bytes.begin(), bytes.end());
  }
  data.resize(writer.DataBytes());
  std::vector<std::byte> all = writer.Header();
  all.insert(all.end(), data.begin(), data.end());
  return all;
}

// exp of the mean negative log likelihood, in chunks that begin with an empty cache.
double Perplexity(const std::string& path, std::span<const TokenId> tokens, IsaLevel isa) {
  constexpr size_t kChunk = 256;
  const auto model = LoadedModel::Start(path).value();
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(2);
  double sum = 0;
  size_t scored = 0;
  for (; tokens.size() >= kChunk; tokens = tokens.subspan(kChunk)) {
    const auto session = model->NewSession(*pool, {.kv_type = DType::kF32, .isa = isa}).value();
    const auto all = session->Forward(tokens.first(kChunk), LogitsOf::kAll).value();
    const size_t n_vocab = all.size() / kChunk;
    for (size_t i = 0; i + 1 < kChunk; ++i, ++scored) {
      const auto logits = all.subspan(i * n_vocab, n_vocab);
      const double top = *std::ranges::max_element(logits);
      double total = 0;
      for (const float logit : logits) total += std::exp(logit - top);
      sum += std::log(total) + top - logits[static_cast<size_t>(tokens[i + 1])];
    }
  }
  return std::exp(sum / static_cast<double>(scored));
}

TEST(Perplexity, OfQ4KIsThatOfItsFloats) {
  const std::filesystem::path path = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-f16.gguf";
  const auto tokenizer = LoadTokenizer(path).value();
  std::vector<TokenId> tokens =
      tokenizer->Encode(ReadAll(path.parent_path() / "heldout.txt"), {.add_special = true});
  tokens.resize(std::min<size_t>(tokens.size(), 5 * 256));
  const auto source = LoadedModel::Start(path).value();
  const std::string file = ReadAll(path);
  const TempFile quantized(Rewrite(source->index, file, false));
  const TempFile floats(Rewrite(source->index, file, true));
  const IsaLevel isa = SupportedIsaLevels().back();
  const double want = Perplexity(floats.path(), tokens, isa);
  EXPECT_NEAR(Perplexity(quantized.path(), tokens, isa) / want, 1, 0.005);
  // Weights of four bits have not made it another model.
  EXPECT_LT(want, 1.1 * Perplexity(path, tokens, isa));
}

}  // namespace
}  // namespace llmrun
