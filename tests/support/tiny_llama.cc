#include <bit>
#include <cstring>
#include <random>

#include "base/check.h"
#include "loader/gguf/gguf_writer.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

constexpr uint32_t kFirstByteToken = 3;
constexpr uint32_t kFirstWordToken = kFirstByteToken + 256;
constexpr const char* kScaledParts[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                        "ffn_gate", "ffn_up", "ffn_down"};

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;

  void Add(std::string token, float score, int32_t type) {
    tokens.push_back(std::move(token));
    scores.push_back(score);
    types.push_back(type);
  }
};

// The i-th string of a, b, ..., z, aa, ab, ...: each is the one of its head and one letter, so that
// merging by score can reach all of them.
std::string Word(uint32_t i) {
  std::string word;
  for (uint64_t n = uint64_t{i} + 1; n > 0; n = (n - 1) / 26) {
    word.insert(word.begin(), static_cast<char>('a' + (n - 1) % 26));
  }
  return word;
}

Vocabulary MakeVocabulary(uint32_t n_vocab) {
  enum : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };
  CHECK(n_vocab >= kFirstWordToken);
  Vocabulary v;
  v.Add("<unk>", 0, kUnknown);
  v.Add("<s>", 0, kControl);
  v.Add("</s>", 0, kControl);
  for (uint32_t byte = 0; byte < 256; ++byte) v.Add(fmt::format("<0x{:02X}>", byte), 0, kByte);
  for (uint32_t i = kFirstWordToken; i < n_vocab; ++i) {
    const uint32_t word = i - kFirstWordToken;
    const std::string token = word == 0 ? "\xe2\x96\x81" : Word(word - 1);  // U+2581 is the space
    v.Add(token, -static_cast<float>(word), kNormal);
  }
  return v;
}

bool IsGemma(const TinyLlamaSpec& spec) { return spec.architecture.starts_with("gemma"); }

// Of a head of deepseek2.
constexpr uint32_t kUnrotated = 32;
constexpr uint32_t kRotated = 8;
constexpr uint32_t kValueDim = 16;
constexpr uint32_t kLatentRank = 32;

void AddDeepseekMetadata(const TinyLlamaSpec& spec, GgufWriter* writer) {
  const auto key = [](const char* name) { return fmt::format("deepseek2.{}", name); };
  writer->AddUint32(key("attention.key_length"),
                    spec.cached_latents ? kLatentRank + kRotated : kUnrotated + kRotated);
  writer->AddUint32(key("attention.value_length"), spec.cached_latents ? kLatentRank : kValueDim);
  if (spec.cached_latents) {
    writer->AddUint32(key("attention.key_length_mla"), kUnrotated + kRotated);
    writer->AddUint32(key("attention.value_length_mla"), kValueDim);
  }
  writer->AddUint32(key("attention.kv_lora_rank"), kLatentRank);
  writer->AddUint32(key("leading_dense_block_count"), 1);
  writer->AddUint32(key("expert_feed_forward_length"), spec.d_ff / 2);
  writer->AddUint32(key("expert_shared_count"), spec.deepseek_v3 ? 1 : 2);
  writer->AddString(key("rope.scaling.type"), "yarn");
  writer->AddFloat32(key("rope.scaling.factor"), 8.0F);
  writer->AddUint32(key("rope.scaling.original_context_length"), 16);
  writer->AddFloat32(key("rope.scaling.yarn_log_multiplier"), 0.1F);
  if (spec.n_expert_groups > 1) {
    writer->AddUint32(key("expert_group_count"), spec.n_expert_groups);
    writer->AddUint32(key("expert_group_used_count"), 2);
  }
  if (!spec.deepseek_v3) return;
  writer->AddUint32(key("attention.q_lora_rank"), kLatentRank);
  writer->AddUint32(key("expert_gating_func"), 2);
  writer->AddBool(key("expert_weights_norm"), true);
  writer->AddFloat32(key("expert_weights_scale"), 2.5F);
}

void AddMetadata(const TinyLlamaSpec& spec, GgufWriter* writer) {
  const auto key = [&](const char* name) { return fmt::format("{}.{}", spec.architecture, name); };
  writer->AddString("general.architecture", std::string(spec.architecture));
  writer->AddString("general.name", "tiny random llama");
  writer->AddUint32(key("vocab_size"), spec.n_vocab);
  writer->AddUint32(key("context_length"), spec.n_context);
  writer->AddUint32(key("embedding_length"), spec.d_model);
  writer->AddUint32(key("block_count"), spec.n_layers);
  writer->AddUint32(key("feed_forward_length"), spec.d_ff);
  writer->AddUint32(key("rope.dimension_count"),
                    spec.architecture == "deepseek2" ? kRotated : spec.d_model / spec.n_heads);
  writer->AddUint32(key("attention.head_count"), spec.n_heads);
  writer->AddUint32(key("attention.head_count_kv"), spec.n_kv_heads);
  writer->AddFloat32(key(spec.architecture == "stablelm" ? "attention.layer_norm_epsilon"
                                                         : "attention.layer_norm_rms_epsilon"),
                     1e-5F);
  writer->AddFloat32(key("rope.freq_base"), 10000.0F);
  if (IsGemma(spec) || spec.architecture == "phi3" || spec.architecture == "gpt-oss") {
    writer->AddUint32(key("attention.sliding_window"), 7);
  }
  if (spec.window > 0) writer->AddUint32(key("attention.sliding_window"), spec.window);
  if (spec.architecture == "gpt-oss") {
    writer->AddString(key("rope.scaling.type"), "yarn");
    writer->AddFloat32(key("rope.scaling.factor"), 8.0F);
    writer->AddUint32(key("rope.scaling.original_context_length"), 16);
  }
  if (spec.architecture == "gemma2") {  // where scores and logits lie
    writer->AddFloat32(key("attn_logit_softcapping"), 0.5F);
    writer->AddFloat32(key("final_logit_softcapping"), 1.5F);
  }
  if (spec.architecture == "phi3") {
    writer->AddUint32(key("rope.scaling.original_context_length"), spec.n_context / 2);
    writer->AddFloat32(key("rope.scaling.attn_factor"), 1.25F);
  }
  if (spec.architecture == "granite") {
    writer->AddFloat32(key("embedding_scale"), 12.0F);
    writer->AddFloat32(key("residual_scale"), 0.25F);
    writer->AddFloat32(key("attention.scale"), 0.1F);
    writer->AddFloat32(key("logit_scale"), 8.0F);
  }
  if (spec.architecture == "deepseek2") AddDeepseekMetadata(spec, writer);
  if (spec.n_experts > 0) {
    writer->AddUint32(key("expert_count"), spec.n_experts);
    writer->AddUint32(key("expert_used_count"), spec.n_experts_used);
  }

  Vocabulary v = MakeVocabulary(spec.n_vocab);
  const auto add_array = [&](const char* name, MetaType type, MetaArrayData data) {
    writer->Add(name, MetaType::kArray, MetaArray{type, std::move(data)});
  };
  writer->AddString("tokenizer.ggml.model", "llama");
  add_array("tokenizer.ggml.tokens", MetaType::kString, std::move(v.tokens));
  add_array("tokenizer.ggml.scores", MetaType::kFloat32, std::move(v.scores));
  add_array("tokenizer.ggml.token_type", MetaType::kInt32, std::move(v.types));
  writer->AddUint32("tokenizer.ggml.bos_token_id", 1);
  writer->AddUint32("tokenizer.ggml.eos_token_id", 2);
  writer->AddUint32("tokenizer.ggml.unknown_token_id", 0);
  writer->AddBool("tokenizer.ggml.add_bos_token", true);
  writer->AddBool("tokenizer.ggml.add_eos_token", false);
}

void AddTensor(GgufWriter* writer, std::string name, DType dtype, std::vector<uint64_t> dims) {
  CHECK(writer->AddTensor(std::move(name), dtype, std::move(dims)).has_value());
}

// The tensors of one layer.
class LayerWriter {
 public:
  LayerWriter(const TinyLlamaSpec& spec, uint32_t number, GgufWriter* writer)
      : s_(spec), number_(number), writer_(writer) {}

  void Attention() {
    if (!olmo2_) Norm("attn_norm", d_);
    if (s_.architecture == "qwen2" || s_.architecture == "stablelm" || gpt_oss_) {
      Add("attn_q.bias", DType::kF32, {d_});
      Add("attn_k.bias", DType::kF32, {d_kv_});
      Add("attn_v.bias", DType::kF32, {d_kv_});
    }
    if (olmo2_ || s_.architecture.starts_with("qwen3") || s_.architecture == "gemma3") {
      Norm("attn_q_norm", olmo2_ ? d_ : d_ / s_.n_heads);
      Norm("attn_k_norm", olmo2_ ? d_kv_ : d_ / s_.n_heads);
    }
    if (olmo2_ || IsGemma(s_)) {
      Norm("post_attention_norm", d_);
      Norm("post_ffw_norm", d_);
    }
    if (s_.architecture == "deepseek2") return LatentAttention();
    if (s_.architecture == "phi3") {
      Add("attn_qkv.weight", s_.dtype, {d_, d_ + 2 * d_kv_});
    } else {
      Add("attn_q.weight", s_.dtype, {d_, d_});
      Add("attn_k.weight", s_.dtype, {d_, d_kv_});
      Add("attn_v.weight", s_.dtype, {d_, d_kv_});
    }
    Add("attn_output.weight", s_.dtype, {d_, d_});
    if (gpt_oss_) Add("attn_output.bias", DType::kF32, {d_});
    if (gpt_oss_) Add("attn_sinks.weight", DType::kF32, {s_.n_heads});
  }

  void FeedForward() {
    const uint64_t n = s_.n_experts;
    if (!olmo2_) Norm(gpt_oss_ ? "post_attention_norm" : "ffn_norm", d_);
    for (const char* part : kScaledParts) {
      if (s_.scales) Add(fmt::format("{}.scale", part), DType::kF32, {1});
    }
    if (s_.architecture.starts_with("bitnet")) {
      Norm("attn_sub_norm", d_);
      Norm("ffn_sub_norm", s_.d_ff);
    }
    if (s_.architecture == "deepseek2" && number_ > 0) return DeepseekExperts();
    if (n > 0 && s_.architecture != "deepseek2") {
      Add("ffn_gate_inp.weight", s_.dtype, {d_, n});
      Add("ffn_gate_exps.weight", s_.dtype, {d_, s_.d_ff, n});
      Add("ffn_up_exps.weight", s_.dtype, {d_, s_.d_ff, n});
      Add("ffn_down_exps.weight", s_.dtype, {s_.d_ff, d_, n});
      if (!gpt_oss_) return;
      Add("ffn_gate_inp.bias", DType::kF32, {n});
      Add("ffn_gate_exps.bias", DType::kF32, {s_.d_ff, n});
      Add("ffn_up_exps.bias", DType::kF32, {s_.d_ff, n});
      Add("ffn_down_exps.bias", DType::kF32, {d_, n});
      return;
    }
    const bool fused = s_.architecture == "phi3";
    if (!fused) Add("ffn_gate.weight", s_.dtype, {d_, s_.d_ff});
    Add("ffn_up.weight", s_.dtype, {d_, fused ? 2 * s_.d_ff : s_.d_ff});
    Add("ffn_down.weight", s_.dtype, {s_.d_ff, d_});
  }

 private:
  void LatentAttention() {
    const uint64_t q = uint64_t{s_.n_heads} * (kUnrotated + kRotated);
    if (s_.deepseek_v3) {
      Add("attn_q_a.weight", s_.dtype, {d_, kLatentRank});
      Norm("attn_q_a_norm", kLatentRank);
      Add("attn_q_b.weight", s_.dtype, {kLatentRank, q});
    } else {
      Add("attn_q.weight", s_.dtype, {d_, q});
    }
    Add("attn_kv_a_mqa.weight", s_.dtype, {d_, kLatentRank + kRotated});
    Norm("attn_kv_a_norm", kLatentRank);
    if (s_.cached_latents) {
      Add("attn_k_b.weight", s_.dtype, {kUnrotated, kLatentRank, s_.n_heads});
      Add("attn_v_b.weight", s_.dtype, {kLatentRank, kValueDim, s_.n_heads});
    } else {
      Add("attn_kv_b.weight", s_.dtype, {kLatentRank, s_.n_heads * (kUnrotated + kValueDim)});
    }
    Add("attn_output.weight", s_.dtype, {s_.n_heads * kValueDim, d_});
  }

  void DeepseekExperts() {
    const uint64_t n = s_.n_experts;
    const uint64_t d_ff = s_.d_ff / 2;
    const uint64_t shared = s_.deepseek_v3 ? d_ff : 2 * d_ff;
    Add("ffn_gate_inp.weight", DType::kF32, {d_, n});
    if (s_.deepseek_v3) Add("exp_probs_b.bias", DType::kF32, {n});
    Add("ffn_gate_exps.weight", s_.dtype, {d_, d_ff, n});
    Add("ffn_up_exps.weight", s_.dtype, {d_, d_ff, n});
    Add("ffn_down_exps.weight", s_.dtype, {d_ff, d_, n});
    Add("ffn_gate_shexp.weight", s_.dtype, {d_, shared});
    Add("ffn_up_shexp.weight", s_.dtype, {d_, shared});
    Add("ffn_down_shexp.weight", s_.dtype, {shared, d_});
  }

  void Add(std::string_view name, DType dtype, std::vector<uint64_t> dims) {
    AddTensor(writer_, fmt::format("blk.{}.{}", number_, name), dtype, std::move(dims));
  }
  void Norm(const std::string& part, uint64_t n) {
    Add(part + ".weight", DType::kF32, {n});
    if (s_.architecture == "stablelm") Add(part + ".bias", DType::kF32, {n});
  }

  const TinyLlamaSpec& s_;
  const uint32_t number_;
  GgufWriter* writer_;
  const bool olmo2_ = s_.architecture == "olmo2";
  const bool gpt_oss_ = s_.architecture == "gpt-oss";
  const uint64_t d_ = s_.d_model;
  const uint64_t d_kv_ = d_ / s_.n_heads * s_.n_kv_heads;
};

void AddTensors(const TinyLlamaSpec& s, GgufWriter* writer) {
  const uint64_t d = s.d_model;
  AddTensor(writer, "token_embd.weight", s.dtype, {d, s.n_vocab});
  if (s.architecture == "phi3") {
    AddTensor(writer, "rope_factors_long.weight", DType::kF32, {d / s.n_heads / 2});
    AddTensor(writer, "rope_factors_short.weight", DType::kF32, {d / s.n_heads / 2});
  }
  for (uint32_t i = 0; i < s.n_layers; ++i) {
    LayerWriter layer(s, i, writer);
    layer.Attention();
    layer.FeedForward();
  }
  AddTensor(writer, "output_norm.weight", DType::kF32, {d});
  if (s.architecture == "stablelm") AddTensor(writer, "output_norm.bias", DType::kF32, {d});
  if (!s.tied) AddTensor(writer, "output.weight", s.dtype, {d, s.n_vocab});
}

// IEEE half of steps * 2^-shift, exactly. Requires: |steps| <= 127, shift <= 14.
uint16_t HalfOf(int steps, int shift) {
  if (steps == 0) return 0;
  const uint32_t magnitude = static_cast<uint32_t>(steps < 0 ? -steps : steps);
  const int top = std::bit_width(magnitude) - 1;
  const uint32_t exponent = static_cast<uint32_t>(15 - shift + top);
  const uint32_t mantissa = (magnitude << (10 - top)) & 0x3ff;
  return static_cast<uint16_t>((steps < 0 ? 0x8000U : 0U) | exponent << 10 | mantissa);
}

// Writes random weights, in steps of 2^-shift, as elements of `dtype`.
void FillMatrix(DType dtype, int shift, std::mt19937_64* random, std::span<std::byte> out) {
  const auto draw = [&] { return static_cast<int>((*random)() % 255) - 127; };
  std::byte* at = out.data();
  const auto put = [&](auto value) {
    std::memcpy(at, &value, sizeof value);
    at += sizeof value;
  };
  while (at != out.data() + out.size()) {
    switch (dtype) {
      case DType::kF32:
        put(static_cast<float>(draw()) / static_cast<float>(1 << shift));
        break;
      case DType::kF16:
        put(HalfOf(draw(), shift));
        break;
      case DType::kQ8_0:
        put(HalfOf(1, shift));
        for (int i = 0; i < 32; ++i) put(static_cast<int8_t>(draw()));
        break;
      case DType::kTQ2_0:
        for (int i = 0; i < 64; ++i) put(static_cast<uint8_t>((*random)() & (*random)()));
        put(HalfOf(64, shift));
        break;
      case DType::kQ2_K:
        for (int i = 0; i < 80; ++i) put(static_cast<uint8_t>((*random)()));
        put(HalfOf(3, shift));
        put(HalfOf(4, shift));
        break;
      default:
        CHECK(false);
    }
  }
}

// Norm weights near 1.
void FillNorm(std::mt19937_64* random, std::span<std::byte> out) {
  for (size_t i = 0; i < out.size(); i += sizeof(float)) {
    const float value = 0.75F + static_cast<float>((*random)() % 128) / 256.0F;
    std::memcpy(out.data() + i, &value, sizeof value);
  }
}

// The shift that makes `steps * 2^-shift` about as large as usual initial weights, 1 / sqrt(row):
// the largest power of two with 64 * 2^-shift <= 1 / sqrt(row).
int ShiftFor(uint64_t row_elems) {
  const int shift = 6 + std::bit_width(row_elems) / 2;
  CHECK(shift <= 14);
  return shift;
}

}  // namespace

std::vector<std::byte> BuildTinyLlama(const TinyLlamaSpec& spec) {
  CHECK(spec.n_heads > 0 && spec.d_model % (2 * spec.n_heads) == 0);
  CHECK(spec.n_kv_heads > 0 && spec.n_heads % spec.n_kv_heads == 0);
  GgufWriter writer;
  AddMetadata(spec, &writer);
  AddTensors(spec, &writer);
  std::vector<std::byte> bytes = writer.Header();
  const size_t data_offset = bytes.size();
  bytes.resize(data_offset + writer.DataBytes());
  std::mt19937_64 random(spec.seed);
  for (const GgufWriter::Tensor& tensor : writer.tensors()) {
    const std::span out = std::span(bytes).subspan(data_offset + tensor.offset, tensor.bytes);
    if (tensor.dims.size() == 1) {
      FillNorm(&random, out);
    } else {
      FillMatrix(tensor.dtype, ShiftFor(tensor.dims[0]), &random, out);
    }
  }
  return bytes;
}

}  // namespace llmrun
