#include "model/architecture.h"

#include <algorithm>

namespace llmrun {

// Sources: Touvron et al. 2023 (LLaMA); Jiang et al. 2023 and 2024 (Mistral, whose first version
// has a window, and Mixtral: both name themselves llama); Ma et al. 2024 (BitNet b1.58), of which
// `bitnet` is the first kind of file and `bitnet-b1.58` the one of BitNet b1.58 2B4T (2025); Yang
// et al. 2024 (Qwen2, and 2.5) and 2025 (Qwen3); OLMo team 2024 (OLMo 2); Bellagente et al. 2024
// (Stable LM 2); Abdin et al. 2024 (Phi-3); Gemma team 2024 (Gemma 2) and 2025 (Gemma 3); Granite
// team 2024 (Granite 3); Bakouch et al. 2025 (SmolLM3; layers without RoPE: Yang et al. 2025, "RoPE
// to NoPE and back again"); OpenAI 2025 (gpt-oss; sinks: Xiao et al. 2023, learned here);
// DeepSeek-AI 2024 (DeepSeek-V2 and V3, both called deepseek2).
std::span<const Architecture> Architectures() {
  static constexpr Architecture kArchitectures[] = {
      {.name = "llama",
       .experts = Presence::kMaybe,
       .full_attention_every = 0,
       .may_lack_window = true},
      {.name = "bitnet", .rope_interleaved = false, .sub_norms = true, .may_have_scales = true},
      {.name = "bitnet-b1.58",
       .rope_interleaved = false,
       .sub_norms = true,
       .activation = Activation::kSquaredRelu},
      {.name = "qwen2", .rope_interleaved = false, .qkv_bias = Presence::kAlways},
      {.name = "qwen3", .rope_interleaved = false, .qk_norm = QkNorm::kHead},
      {.name = "qwen3moe",
       .rope_interleaved = false,
       .qk_norm = QkNorm::kHead,
       .experts = Presence::kAlways},
      {.name = "olmo2",
       .rope_interleaved = false,
       .pre_norms = false,
       .post_norms = true,
       .qk_norm = QkNorm::kRow},
      {.name = "stablelm",
       .rope_interleaved = false,
       .norm = NormKind::kLayer,
       .qkv_bias = Presence::kMaybe},
      {.name = "phi3",
       .rope_interleaved = false,
       .fused = true,
       .full_attention_every = 0,
       .long_rope = true},
      {.name = "gemma2",
       .rope_interleaved = false,
       .post_norms = true,
       .activation = Activation::kGelu,
       .scaled_embeddings = true,
       .soft_caps = true,
       .full_attention_every = 2,
       .layers_scaled_by_model = 46},
      {.name = "gemma3",
       .rope_interleaved = false,
       .post_norms = true,
       .qk_norm = QkNorm::kHead,
       .activation = Activation::kGelu,
       .scaled_embeddings = true,
       .full_attention_every = 6,
       .local_rope_base = 10000,
       .layers_scaled_by_model = 62},
      {.name = "granite", .multipliers = true},
      {.name = "smollm3", .unrotated_every = 4},
      {.name = "gpt-oss",
       .rope_interleaved = false,
       .ffn_norm = "post_attention_norm",
       .qkv_bias = Presence::kAlways,
       .other_biases = true,
       .sinks = true,
       .activation = Activation::kClampedSwiglu,
       .experts = Presence::kAlways,
       .full_attention_every = 2},
      {.name = "deepseek2",
       .experts = Presence::kAlways,
       .deepseek_experts = true,
       .latent_attention = true},
  };
  // What no kind of block does so far.
  static_assert(std::ranges::none_of(kArchitectures, [](const Architecture& a) {
    return a.post_norms && a.experts != Presence::kNever;
  }));
  return kArchitectures;
}

}  // namespace llmrun
