// The numbers of a model, read from GGUF metadata and checked against each other and against the
// tensors' shapes before anything is computed with them.
//
// Failure: kUnavailable for what this build cannot run, by name (an architecture, with the list of
// those that run; a RoPE scaling; a kind of mixture of experts; sizes that differ by layer);
// kBadData for missing keys, values outside the limits below, and sizes that disagree. Takes time
// proportional to the number of layers only after the last layer is known to exist. Threads: a
// value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "model/architecture.h"
#include "model/expert_routing.h"
#include "model/rope.h"

namespace llmrun {

// No model comes near these; a file that asks for more is damaged or hostile. They also keep every
// product of sizes in this folder below 2^63.
inline constexpr uint64_t kMaxLayers = 1024;
inline constexpr uint64_t kMaxEmbedding = 1 << 18;
inline constexpr uint64_t kMaxFeedForward = 1 << 20;
inline constexpr uint64_t kMaxHeads = 4096;
inline constexpr uint64_t kMaxHeadDim = 1024;
inline constexpr uint64_t kMaxVocab = 1 << 22;
inline constexpr uint64_t kMaxContext = 1 << 27;
inline constexpr uint64_t kMaxExperts = kMaxRoutedExperts;
inline constexpr uint64_t kMaxExpertsUsed = 64;

// Multi-head latent attention (DeepSeek-AI 2024): a token's keys and values are products of one
// vector, its latent, but for what RoPE turns of keys, which is the same for all heads. Files have
// the matrices either in the form that makes keys and values of all heads from latents, or such
// that what is in the cache, for all heads together, are the latents themselves: keys are then
// latents and what RoPE turns, values are latents; the keys' matrices are multiplied with queries,
// the values' with what attention gives.
struct LatentSizes {
  int64_t kv_rank = 0;     // of the latent; 0: there is none
  int64_t q_rank = 0;      // of a vector that queries are made from; 0: they are made from x
  bool cached = false;     // the second form; then, of a head:
  int64_t query_dim = 0;   // of the query before it is multiplied
  int64_t output_dim = 0;  // of what values' matrices give
};

struct ModelConfig {
  std::string architecture;  // "llama", ...: see Architectures()
  std::string name;          // general.name, may be empty
  int64_t n_layers = 0;
  int64_t d_model = 0;
  int64_t d_ff = 0;            // where there are no experts
  int64_t n_experts = 0;       // 0: the feed-forward block is one for all tokens
  int64_t n_experts_used = 0;  // by each token
  int64_t n_dense_layers = 0;  // the first ones, which have no experts
  int64_t d_ff_expert = 0;     // of each expert
  int64_t d_ff_shared = 0;     // of those that all tokens go to, together; 0: none
  ExpertRouter router = {};
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;  // divides n_heads
  int64_t head_dim = 0;    // of queries and keys
  int64_t value_dim = 0;   // of values
  int64_t n_rot = 0;       // dimensions of a head that RoPE turns, even, <= head_dim
  LatentSizes latent = {};
  int64_t n_vocab = 0;
  int64_t n_ctx_train = 0;
  float norm_eps = 1e-5F;
  double rope_base = 10000.0;
  double rope_scale = 1.0;              // positions are multiplied by this
  double local_rope_base = 10000.0;     // of layers that see a window, if their RoPE is another
  double rope_magnitude = 1.0;          // what is rotated is multiplied by this
  std::optional<YarnParams> yarn = {};  // of rope_scale
  int64_t rope_short_context = 0;       // up to here the RoPE factors for short contexts hold
  int64_t window = 0;                   // the last positions that a local layer sees; 0: all
  double attention_scale = 1.0;         // of scores, 1 / sqrt(head_dim) as a rule
  double attention_cap = 0;             // soft caps of scores and logits; 0: none
  double logit_cap = 0;
  double embedding_scale = 1.0;
  double residual_scale = 1.0;  // of what a block adds
  double logit_scale = 1.0;
  Architecture kind = {};  // how the architecture differs from others

  int64_t q_dim() const { return n_heads * head_dim; }
  // Of the queries as a matrix gives them, and of what goes into that of the output.
  int64_t made_q_dim() const { return latent.cached ? n_heads * latent.query_dim : q_dim(); }
  int64_t output_dim() const {
    return latent.cached ? n_heads * latent.output_dim : attention_dim();
  }
  int64_t k_dim() const { return n_kv_heads * head_dim; }
  int64_t v_dim() const { return n_kv_heads * value_dim; }
  int64_t attention_dim() const { return n_heads * value_dim; }  // of what attention gives
  bool has_latent() const { return latent.kv_rank > 0; }
  // The first dimension of a head that RoPE turns, behind those it does not.
  int64_t rot_begin() const { return has_latent() ? head_dim - n_rot : 0; }
  // Rows of a head in the matrix that makes keys, as far as RoPE does not turn them, and values
  // from latents.
  int64_t latent_rows() const { return head_dim - n_rot + value_dim; }
  bool has_experts() const { return n_experts > 0; }
  bool HasExperts(int64_t layer) const { return has_experts() && layer >= n_dense_layers; }
  // Sees the window only.
  bool IsLocal(int64_t layer) const {
    const int64_t every = kind.full_attention_every;
    return every == 0 || (layer + 1) % every != 0;
  }
  bool HasRope(int64_t layer) const {
    return kind.unrotated_every == 0 || (layer + 1) % kind.unrotated_every != 0;
  }
  int64_t WindowOf(int64_t layer) const { return IsLocal(layer) ? window : 0; }
};

Result<ModelConfig> ReadModelConfig(const TensorIndex& index);

// Architectures that run, for messages and help.
std::vector<std::string> SupportedArchitectures();

}  // namespace llmrun
