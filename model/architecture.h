// The architectures that run: each is a few ways in which it differs from the others.
// Threads: a table of constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace llmrun {

// What the gate of the feed-forward block is passed through before it is multiplied with `up`.
enum class Activation : uint8_t {
  kSilu,         // g / (1 + exp(-g))
  kSquaredRelu,  // max(g, 0)^2
  kGelu,         // g / 2 (1 + tanh(...)): see gelu_mul in compute/kernels.h
  // With another term beside `up`, both within limits: see clamped_swiglu there.
  kClampedSwiglu,
};

enum class NormKind : uint8_t {
  kRms,
  kLayer,  // of attn_norm, ffn_norm and output_norm, which have a ".bias" then
};

// Of what only some files of an architecture have.
enum class Presence : uint8_t { kNever, kMaybe, kAlways };

// What queries and keys are normalized over before they are rotated.
enum class QkNorm : uint8_t {
  kNone,
  kHead,  // each head for itself, with the same weights
  kRow,   // all heads together
};

struct Architecture {
  std::string_view name;         // general.architecture
  bool rope_interleaved = true;  // pairs (2i, 2i + 1), else (i, i + n_rot / 2)
  NormKind norm = NormKind::kRms;
  bool pre_norms = true;  // what goes into attention and feed-forward is normalized
  std::string_view ffn_norm = "ffn_norm";  // the tensor for feed-forward
  bool post_norms = false;  // what comes out of them, before it is added; not of experts
  bool sub_norms = false;   // what goes into attn_output and ffn_down
  QkNorm qk_norm = QkNorm::kNone;
  Presence qkv_bias = Presence::kNever;
  bool other_biases = false;  // of attn_output, of the router, of the experts' matrices
  bool sinks = false;         // a score beside those of all positions, whose value is zero
  Activation activation = Activation::kSilu;
  Presence experts = Presence::kNever;
  // Of the experts: the first layers have none, some are for all tokens, and the router is as
  // metadata says.
  bool deepseek_experts = false;
  bool latent_attention = false;   // keys and values are made from one short vector
  bool may_have_scales = false;    // tensors ".scale" beside ".weight": factors of what it gives
  bool fused = false;              // q, k and v are one tensor attn_qkv; gate and up are ffn_up
  bool scaled_embeddings = false;  // by sqrt(d_model)
  bool multipliers = false;        // of embeddings, blocks and logits, as metadata has them
  bool soft_caps = false;          // scores and logits become cap * tanh(x / cap)
  // One layer in so many sees all positions, the last of each such run; the others see the last
  // attention.sliding_window of them. 0: no layer sees all.
  int64_t full_attention_every = 1;
  bool may_lack_window = false;  // all layers see all positions where metadata has no window
  double local_rope_base = 0;    // where a layer sees a window, unscaled; 0: as everywhere
  int64_t unrotated_every = 0;   // one layer in so many, the last, has no RoPE; 0: all have it
  bool long_rope = false;        // may have RoPE factors for short contexts and for long ones
  // Models of so many layers scale scores by 1 / sqrt(d_model / n_heads), not by that of head_dim.
  int64_t layers_scaled_by_model = 0;
};

std::span<const Architecture> Architectures();

}  // namespace llmrun
