#include "cli/synth_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "cli/synth_vocab.h"
#include "model/model_config.h"

namespace llmrun {
namespace {

// Published dimensions of the models whose names they bear.
const SynthShape kShapes[] = {
    {"tinyllama-1.1b", 2048, 5632, 22, 32, 4, 32000, 2048, 10000.0F, false},
    {"llama-3.2-1b", 2048, 8192, 16, 32, 8, 128256, 131072, 500000.0F, true},
    {"mistral-7b", 4096, 14336, 32, 32, 8, 32000, 32768, 1000000.0F, false},
    {"mixtral-8x7b", 4096, 14336, 32, 32, 8, 32000, 32768, 1000000.0F, false, 8, 2},
    {"bitnet-2b4t", 2560, 6912, 30, 20, 5, 128256, 4096, 500000.0F, true},
};

const SynthType kTypes[] = {
    {"F32", DType::kF32, false},       {"F16", DType::kF16, false},
    {"BF16", DType::kBF16, false},     {"Q8_0", DType::kQ8_0, false},
    {"Q4_0", DType::kQ4_0, false},     {"Q4_1", DType::kQ4_1, false},
    {"Q5_0", DType::kQ5_0, false},     {"Q5_1", DType::kQ5_1, false},
    {"Q2_K", DType::kQ2_K, false},     {"Q3_K", DType::kQ3_K, false},
    {"Q4_K", DType::kQ4_K, false},     {"Q5_K", DType::kQ5_K, false},
    {"Q6_K", DType::kQ6_K, false},     {"IQ4_NL", DType::kIQ4_NL, false},
    {"IQ4_XS", DType::kIQ4_XS, false}, {"TQ1_0", DType::kTQ1_0, false},
    {"TQ2_0", DType::kTQ2_0, false},   {"MXFP4", DType::kMXFP4, false},
    {"IQ2_BN", DType::kIQ2_BN, false}, {"Q4_K_M", DType::kQ4_K, true},
};

constexpr float kNormDeviation = 0.05F;  // norm weights of trained models lie around 1

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

Status CheckShape(const SynthShape& shape) {
  struct Limit {
    const char* name;
    uint64_t value;
    uint64_t least;
    uint64_t most;
  };
  const Limit limits[] = {
      {"D", shape.d_model, 1, kMaxEmbedding}, {"FF", shape.d_ff, 1, kMaxFeedForward},
      {"L", shape.n_layers, 1, kMaxLayers},   {"H", shape.n_heads, 1, kMaxHeads},
      {"KV", shape.n_kv_heads, 1, kMaxHeads}, {"V", shape.n_vocab, kSynthVocabLeast, kMaxVocab},
  };
  for (const Limit& limit : limits) {
    if (limit.value < limit.least || limit.value > limit.most) {
      return MakeError(ErrorCode::kUsage, "--shape {}: {} is {}, expected {} to {}", shape.name,
                       limit.name, limit.value, limit.least, limit.most);
    }
  }
  if (shape.d_model % (2 * shape.n_heads) != 0) {
    return MakeError(ErrorCode::kUsage,
                     "--shape {}: D = {} must be a multiple of 2 x H = {} (heads of even size)",
                     shape.name, shape.d_model, 2 * shape.n_heads);
  }
  if (shape.n_experts == 1 || shape.n_experts > kMaxExperts ||
      (shape.n_experts > 0) != (shape.n_experts_used > 0) ||
      shape.n_experts_used > std::min<uint64_t>(shape.n_experts, kMaxExpertsUsed)) {
    return MakeError(ErrorCode::kUsage,
                     "--shape {}: expected E = 2 to {} experts, of which a token uses K = 1 to {}",
                     shape.name, kMaxExperts, kMaxExpertsUsed);
  }
  if (shape.n_heads % shape.n_kv_heads != 0) {
    return MakeError(ErrorCode::kUsage, "--shape {}: H = {} must be a multiple of KV = {}",
                     shape.name, shape.n_heads, shape.n_kv_heads);
  }
  return {};
}

// The layers in which the mixture spends more bits: the first and last eighth, and every third of
// those between.
bool MoreBits(uint32_t layer, uint32_t n_layers) {
  const uint32_t eighth = n_layers / 8;
  return layer < eighth || layer >= n_layers - eighth || (layer - eighth) % 3 == 2;
}

class LayoutBuilder {
 public:
  LayoutBuilder(const SynthShape& shape, const SynthType& type) : shape_(shape), type_(type) {}

  Status AddTensors() {
    const uint64_t d = shape_.d_model;
    const uint64_t kv = d / shape_.n_heads * shape_.n_kv_heads;
    RETURN_IF_ERROR(AddMatrix("token_embd.weight", d, shape_.n_vocab, shape_.tied));
    for (uint32_t layer = 0; layer < shape_.n_layers; ++layer) {
      const std::string prefix = fmt::format("blk.{}.", layer);
      const bool more = MoreBits(layer, shape_.n_layers);
      RETURN_IF_ERROR(AddNorm(prefix + "attn_norm.weight"));
      RETURN_IF_ERROR(AddMatrix(prefix + "attn_q.weight", d, d, false));
      RETURN_IF_ERROR(AddMatrix(prefix + "attn_k.weight", d, kv, false));
      RETURN_IF_ERROR(AddMatrix(prefix + "attn_v.weight", d, kv, more));
      RETURN_IF_ERROR(AddMatrix(prefix + "attn_output.weight", d, d, false));
      RETURN_IF_ERROR(AddNorm(prefix + "ffn_norm.weight"));
      RETURN_IF_ERROR(shape_.n_experts > 0 ? AddExperts(prefix, more)
                                           : AddFeedForward(prefix, more));
    }
    RETURN_IF_ERROR(AddNorm("output_norm.weight"));
    if (!shape_.tied) RETURN_IF_ERROR(AddMatrix("output.weight", d, shape_.n_vocab, true));
    return {};
  }

  void AddMetadata(uint64_t seed) {
    const uint32_t head_dim = shape_.d_model / shape_.n_heads;
    writer_.AddString("general.architecture", "llama");
    writer_.AddString("general.name",
                      fmt::format("synthetic {} {} seed {}", shape_.name, type_.name, seed));
    writer_.AddUint32("llama.vocab_size", shape_.n_vocab);
    writer_.AddUint32("llama.context_length", shape_.n_ctx);
    writer_.AddUint32("llama.embedding_length", shape_.d_model);
    writer_.AddUint32("llama.block_count", shape_.n_layers);
    writer_.AddUint32("llama.feed_forward_length", shape_.d_ff);
    writer_.AddUint32("llama.attention.head_count", shape_.n_heads);
    writer_.AddUint32("llama.attention.head_count_kv", shape_.n_kv_heads);
    writer_.AddFloat32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    writer_.AddUint32("llama.rope.dimension_count", head_dim);
    writer_.AddFloat32("llama.rope.freq_base", shape_.rope_base);
    if (shape_.n_experts > 0) {
      writer_.AddUint32("llama.expert_count", shape_.n_experts);
      writer_.AddUint32("llama.expert_used_count", shape_.n_experts_used);
    }
    AddSynthVocab(shape_.n_vocab, writer_);
  }

  SynthLayout Take() && {
    layout_.header = writer_.Header();
    layout_.data_bytes = writer_.DataBytes();
    for (size_t i = 0; i < layout_.tensors.size(); ++i) {
      layout_.tensors[i].offset = writer_.tensors()[i].offset;
      layout_.tensors[i].bytes = writer_.tensors()[i].bytes;
    }
    return std::move(layout_);
  }

 private:
  Status AddFeedForward(const std::string& prefix, bool more_bits) {
    const uint64_t d = shape_.d_model;
    RETURN_IF_ERROR(AddMatrix(prefix + "ffn_gate.weight", d, shape_.d_ff, false));
    RETURN_IF_ERROR(AddMatrix(prefix + "ffn_up.weight", d, shape_.d_ff, false));
    return AddMatrix(prefix + "ffn_down.weight", shape_.d_ff, d, more_bits);
  }

  Status AddExperts(const std::string& prefix, bool more_bits) {
    const uint64_t d = shape_.d_model;
    const uint64_t n = shape_.n_experts;
    RETURN_IF_ERROR(Add(prefix + "ffn_gate_inp.weight", DType::kF32, {d, n}, 0,
                        1.0F / std::sqrt(static_cast<float>(d))));
    RETURN_IF_ERROR(AddMatrix(prefix + "ffn_gate_exps.weight", d, shape_.d_ff, false, n));
    RETURN_IF_ERROR(AddMatrix(prefix + "ffn_up_exps.weight", d, shape_.d_ff, false, n));
    return AddMatrix(prefix + "ffn_down_exps.weight", shape_.d_ff, d, more_bits, n);
  }

  Status AddNorm(std::string name) {
    return Add(std::move(name), DType::kF32, {shape_.d_model}, 1.0F, kNormDeviation);
  }

  // Values around 0 that keep the size of what they are multiplied with: deviation 1/sqrt(columns).
  Status AddMatrix(std::string name, uint64_t columns, uint64_t rows, bool more_bits,
                   uint64_t n_experts = 0) {
    const DType dtype = type_.mixture && more_bits ? DType::kQ6_K : type_.matrix;
    if (columns % TraitsOf(dtype).block_elems != 0) {
      const DType fits =
          columns % TraitsOf(DType::kQ8_0).block_elems == 0 ? DType::kQ8_0 : DType::kF16;
      return MakeFixableError(
          ErrorCode::kUsage, fmt::format("--type {}", NameOf(fits)),
          "--type {}: rows of {} have {} elements, not a multiple of the {} block of {}",
          type_.name, name, columns, NameOf(dtype), TraitsOf(dtype).block_elems);
    }
    std::vector<uint64_t> dims = {columns, rows};
    if (n_experts > 0) dims.push_back(n_experts);
    return Add(std::move(name), dtype, std::move(dims), 0,
               1.0F / std::sqrt(static_cast<float>(columns)));
  }

  Status Add(std::string name, DType dtype, std::vector<uint64_t> dims, float mean,
             float deviation) {
    uint64_t count = 1;
    for (const uint64_t dim : dims) count *= dim;
    layout_.parameters += count;
    SynthTensor tensor;
    tensor.dtype = dtype;
    tensor.row_elems = dims[0];
    tensor.mean = mean;
    tensor.deviation = deviation;
    layout_.tensors.push_back(tensor);
    return writer_.AddTensor(std::move(name), dtype, std::move(dims));
  }

  const SynthShape& shape_;
  const SynthType& type_;
  GgufWriter writer_;
  SynthLayout layout_;
};

}  // namespace

std::vector<std::string> SynthShapeNames() {
  std::vector<std::string> names;
  for (const SynthShape& shape : kShapes) names.push_back(shape.name);
  return names;
}

std::vector<std::string> SynthTypeNames() {
  std::vector<std::string> names;
  for (const SynthType& type : kTypes) names.push_back(type.name);
  return names;
}

Result<SynthShape> ParseSynthShape(std::string_view text) {
  for (const SynthShape& shape : kShapes) {
    if (EqualIgnoringCase(text, shape.name)) return shape;
  }
  SynthShape shape;
  shape.name = text;
  uint32_t* const fields[] = {&shape.d_model,   &shape.d_ff,          &shape.n_layers,
                              &shape.n_heads,   &shape.n_kv_heads,    &shape.n_vocab,
                              &shape.n_experts, &shape.n_experts_used};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (uint32_t* field : fields) {
    const auto [stop, error] = std::from_chars(at, end, *field);
    const bool may_end = field == &shape.n_vocab || field == &shape.n_experts_used;
    const bool well_ended = stop == end ? may_end : *stop == ':' && field != &shape.n_experts_used;
    if (error != std::errc() || !well_ended) {
      return MakeError(ErrorCode::kUsage,
                       "--shape {}: expected {}, or D:FF:L:H:KV:V as in 256:512:2:4:2:512, or with "
                       ":E:K for E experts of which each token uses K",
                       text, fmt::join(SynthShapeNames(), ", "));
    }
    if (stop == end) break;
    at = stop + 1;
  }
  RETURN_IF_ERROR(CheckShape(shape));
  return shape;
}

Result<SynthType> ParseSynthType(std::string_view text) {
  for (const SynthType& type : kTypes) {
    if (EqualIgnoringCase(text, type.name)) return type;
  }
  return MakeError(ErrorCode::kUsage, "--type {}: expected one of {}", text,
                   fmt::join(SynthTypeNames(), ", "));
}

Result<SynthLayout> LayOutSynth(const SynthShape& shape, const SynthType& type, uint64_t seed) {
  LayoutBuilder builder(shape, type);
  builder.AddMetadata(seed);
  RETURN_IF_ERROR(builder.AddTensors());
  return std::move(builder).Take();
}

}  // namespace llmrun
