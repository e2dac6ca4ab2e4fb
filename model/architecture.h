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
};

struct Architecture {
  std::string_view name;         // general.architecture
  bool rope_interleaved = true;  // pairs (2i, 2i + 1), else (i, i + n_rot / 2)
  bool sub_norms = false;        // what goes into attn_output and ffn_down is normalized
  Activation activation = Activation::kSilu;
  bool may_have_experts = false;
  bool may_have_scales = false;  // tensors ".scale" beside ".weight": factors of what it gives
};

std::span<const Architecture> Architectures();

}  // namespace llmrun
