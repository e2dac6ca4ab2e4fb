// The dimensions of synthetic models and the layout that follows from them.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/gguf/gguf_writer.h"
#include "memory/dtype.h"

namespace llmrun {

struct SynthShape {
  std::string name;  // "tinyllama-1.1b", or the dimensions as typed
  uint32_t d_model = 0;
  uint32_t d_ff = 0;
  uint32_t n_layers = 0;
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;
  uint32_t n_vocab = 0;
  uint32_t n_ctx = 2048;
  float rope_base = 10000.0F;
  bool tied = false;       // no output.weight: the embedding serves as the output
  uint32_t n_experts = 0;  // 0: one feed-forward block for all tokens
  uint32_t n_experts_used = 0;
};

// A known name, or D:FF:L:H:KV:V, of a mixture of experts D:FF:L:H:KV:V:E:K. kUsage for anything
// else, and for dimensions that do not fit together.
Result<SynthShape> ParseSynthShape(std::string_view text);
std::vector<std::string> SynthShapeNames();

// One type for all matrices, or the mixture that is known as Q4_K_M: Q4_K, with Q6_K for the output
// and, in half of the layers, for attn_v and ffn_down.
struct SynthType {
  std::string name;  // as it is shown, "Q4_K_M"
  DType matrix = DType::kF32;
  bool mixture = false;
};
Result<SynthType> ParseSynthType(std::string_view text);
std::vector<std::string> SynthTypeNames();

struct SynthTensor {
  DType dtype = DType::kF32;
  uint64_t row_elems = 0;
  uint64_t bytes = 0;
  uint64_t offset = 0;  // in the file's data
  float mean = 0;
  float deviation = 0;
};

struct SynthLayout {
  std::vector<std::byte> header;
  std::vector<SynthTensor> tensors;
  uint64_t data_bytes = 0;
  uint64_t parameters = 0;
};

// Header, tokenizer included, and the tensors with the distribution of their values.
// kUsage, naming a type that fits, when the rows cannot be cut into the type's blocks.
Result<SynthLayout> LayOutSynth(const SynthShape& shape, const SynthType& type, uint64_t seed);

}  // namespace llmrun
