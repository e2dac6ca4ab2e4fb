// GGUF byte strings for tests: valid ones, ones broken on purpose, and whole small models.
//
// GgufBytes writes field by field and believes everything it is told (GgufWriter of the loader is
// the one that cannot write a wrong file). It remembers where each integer field is, so that a test
// can put other values there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "loader/gguf/gguf.h"
#include "memory/dtype.h"

namespace llmrun {

class GgufBytes {
 public:
  struct Field {
    size_t offset;
    size_t width_bytes;  // 4 or 8
  };

  GgufBytes& Header(uint64_t n_tensors, uint64_t n_kv, uint32_t version = 3);
  // A key and its type; its value is to follow.
  GgufBytes& Key(std::string_view key, MetaType type);
  // The head of an array's value: Key(key, kArray) and its elements go around it.
  GgufBytes& ArrayHead(MetaType element_type, uint64_t count);
  // A tensor description; `offset` counts from the beginning of the data.
  GgufBytes& Tensor(std::string_view name, std::vector<uint64_t> dims, DType type, uint64_t offset);

  GgufBytes& U32(uint32_t value) { return Integer(&value, sizeof value); }
  GgufBytes& U64(uint64_t value) { return Integer(&value, sizeof value); }
  GgufBytes& Text(std::string_view text);  // length and bytes
  GgufBytes& Raw(std::string_view bytes);
  // A value of any arithmetic type, not remembered as a field.
  template <typename T>
  GgufBytes& Value(T value) {
    return Raw({reinterpret_cast<const char*>(&value), sizeof value});
  }
  GgufBytes& PadTo(size_t alignment);
  GgufBytes& Zeros(size_t n) { return Raw(std::string(n, '\0')); }

  const std::vector<std::byte>& bytes() const { return bytes_; }
  const std::vector<Field>& fields() const { return fields_; }

 private:
  GgufBytes& Integer(const void* value, size_t width_bytes);

  std::vector<std::byte> bytes_;
  std::vector<Field> fields_;
};

// Parses bytes in memory under the label "test.gguf".
Result<GgufFile> ParseBytes(std::span<const std::byte> bytes, const GgufLimits& limits = {});

// A model of the llama architecture with random weights, the same for the same spec on every
// machine. Weights are multiples of one power of two per tensor, at most 127 of them: F32, F16 and
// Q8_0 hold exactly the same values.
struct TinyLlamaSpec {
  uint32_t d_model =
      64;  // a multiple of 32 for Q8_0, of 256 for TQ2_0 and Q2_K, and of 2 * n_heads
  uint32_t n_layers = 2;
  uint32_t n_heads = 4;
  uint32_t n_kv_heads = 2;
  uint32_t d_ff = 128;     // the same
  uint32_t n_vocab = 320;  // at least 259: <unk>, <s>, </s>, 256 bytes; then letters and words
  uint32_t n_context = 128;
  DType dtype = DType::kF32;                // of the matrices: kF32, kF16, kQ8_0, kTQ2_0 or kQ2_K
  bool tied = false;                        // no output.weight
  std::string_view architecture = "llama";  // or another of those that run
  bool scales = false;                      // a factor beside each matrix of a layer
  uint32_t window = 0;                      // positions that all layers of a llama see; 0: all
  uint32_t n_experts = 0;                   // instead of one feed-forward block
  uint32_t n_experts_used = 0;
  // Of deepseek2 (32 + 8 dimensions of a head, latents of 32): like V3, with queries made from 32,
  // else like V2-Lite. Both have a dense layer first, and shared experts.
  bool deepseek_v3 = false;
  bool cached_latents = false;   // attn_k_b and attn_v_b instead of attn_kv_b
  uint32_t n_expert_groups = 1;  // of which two are used
  uint64_t seed = 1;
};
std::vector<std::byte> BuildTinyLlama(const TinyLlamaSpec& spec);

// Writes bytes as a file. Returns false when that failed.
bool WriteFile(const std::string& path, std::span<const std::byte> bytes);

}  // namespace llmrun
