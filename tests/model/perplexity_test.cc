// What integer arithmetic costs: the perplexity of our own model with Q4_K weights against that of
// the same weights as floats, with activations that are not quantized.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "compute/codec.h"
#include "compute/half.h"
#include "loader/gguf/gguf_writer.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

constexpr int64_t kCols = 256;  // of a block

// The plainest quantizer: in each 32 values from the least to the greatest. Layout of Q4_K: half
// scale and minimum, eight 6-bit scales and minimums, nibbles of 32 and 32 values.
void EncodeQ4K(const float* x, std::byte* block) {
  std::array<float, 8> steps{};
  std::array<float, 8> lows{};
  for (size_t b = 0; b < 8; ++b) {
    const auto [least, greatest] = std::minmax_element(x + 32 * b, x + 32 * b + 32);
    lows[b] = std::max(0.0F, -*least);
    steps[b] = (std::max(*greatest, 0.0F) + lows[b]) / 15.0F;
  }
  const uint16_t scale = FloatToHalf(*std::ranges::max_element(steps) / 63.0F);
  const uint16_t min = FloatToHalf(*std::ranges::max_element(lows) / 63.0F);
  const auto parts = [](float value, uint16_t unit) {
    const float of = HalfToFloat(unit);
    return static_cast<uint8_t>(of > 0 ? std::min(63.0F, std::round(value / of)) : 0.0F);
  };
  std::array<uint8_t, 144> out{};
  std::memcpy(out.data(), &scale, 2);
  std::memcpy(out.data() + 2, &min, 2);
  for (size_t b = 0; b < 8; ++b) {
    const uint8_t s = parts(steps[b], scale);
    const uint8_t m = parts(lows[b], min);
    if (b < 4) {
      out[4 + b] = static_cast<uint8_t>(out[4 + b] | s);
      out[8 + b] = static_cast<uint8_t>(out[8 + b] | m);
    } else {
      out[8 + b] = static_cast<uint8_t>((s & 15) | (m & 15) << 4);
      out[b] = static_cast<uint8_t>(out[b] | s >> 4 << 6);
      out[4 + b] = static_cast<uint8_t>(out[4 + b] | m >> 4 << 6);
    }
    const float step = HalfToFloat(scale) * s;
    for (size_t i = 0; i < 32; ++i) {
      const float q = step > 0 ? (x[32 * b + i] + HalfToFloat(min) * m) / step : 0.0F;
      const auto nibble = static_cast<uint8_t>(std::clamp(std::round(q), 0.0F, 15.0F));
      uint8_t& at = out[16 + 32 * (b / 2) + i];
      at = static_cast<uint8_t>(at | nibble << 4 * (b % 2));
    }
  }
  std::memcpy(block, out.data(), out.size());
}

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
      blocks.resize(values.size() / kCols * TraitsOf(DType::kQ4_K).block_bytes);
      for (size_t i = 0; i * kCols < values.size(); ++i) {
        EncodeQ4K(&values[i * kCols], &blocks[i * TraitsOf(DType::kQ4_K).block_bytes]);
      }
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
