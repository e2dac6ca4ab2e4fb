// The llama architecture once more, and those near it, as plainly as it can be written: float64
// throughout, from dequantized weights, one position after the other, no batches, no threads, no
// kernels. Knows nothing of model/; reads its numbers from the metadata itself. What model/
// computes is held against it. Where there are RoPE factors for long contexts it uses these.
//
// Threads: Thread-compatible. Failure: aborts (CHECK) on files it does not understand.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "loader/index/tensor_index.h"
#include "text/token_id.h"

namespace llmrun {

struct ReferenceOptions {
  // Told what each matrix is multiplied with, by its tensor's name (of one of several in a tensor
  // by that of the matrix) and expert.
  std::function<void(const std::string& name, size_t expert, std::span<const double> x)>
      on_product = {};
  // Deviations from the architecture, to show that a test would notice them.
  bool rope_in_halves = false;  // pairs (i, i + n/2) rather than (2i, 2i + 1)
  bool ignore_rope_scale = false;
  bool ignore_sinks = false;
};

class ReferenceLlama {
 public:
  explicit ReferenceLlama(const TensorIndex& index, const ReferenceOptions& options = {});
  // [tokens.size()][n_vocab], the logits after every token.
  std::vector<double> Logits(std::span<const TokenId> tokens) const;

 private:
  using Vector = std::vector<double>;
  struct Past {  // [layer][position][kv_dim]
    std::vector<std::vector<Vector>> keys;
    std::vector<std::vector<Vector>> values;
  };

  void ReadTensors(const TensorIndex& index);
  const Vector& Tensor(const std::string& name) const;
  Vector Multiply(const std::string& name, const Vector& x) const;
  Vector Normalize(const std::string& name, const Vector& x) const;
  void JoinLatentMatrices(const std::string& prefix);
  void SplitTensor(const std::string& name, const std::vector<std::string>& parts,
                   const std::vector<size_t>& sizes);
  // Sees a window only.
  bool IsLocal(size_t layer) const;
  // Where there are latents: keys (of which the last n_rot are yet to be rotated) and values.
  void MakeFromLatent(const std::string& prefix, const Vector& x, Vector* k, Vector* v) const;
  void Rotate(Vector& x, size_t position, size_t layer) const;
  double RadiansOf(size_t pair, size_t layer) const;  // a position
  Vector Attend(const Vector& q, size_t layer, const Past& past) const;
  Vector Evaluate(TokenId token, size_t position, Past& past) const;
  // `kind`: what the tensors' names end with.
  Vector FeedForward(const std::string& prefix, const Vector& x,
                     const std::string& kind = "") const;
  Vector FeedExperts(const std::string& prefix, const Vector& x) const;
  // Weights of the chosen experts, the others 0.
  Vector Route(const std::string& prefix, const Vector& x) const;
  // Rows of one expert of many, of which each has rows of x.size().
  Vector MultiplyExpert(const std::string& name, size_t expert, const Vector& x) const;
  Vector Activate(const Vector& gate, const Vector& up) const;

  ReferenceOptions options_;
  std::string architecture_;
  size_t n_experts_;
  size_t n_experts_used_;
  size_t n_groups_;
  size_t n_groups_used_;
  bool sigmoid_router_;
  bool renormalizes_;
  double expert_scale_;
  size_t n_layers_;
  size_t n_heads_;
  size_t n_kv_heads_;
  size_t head_dim_;
  size_t value_dim_;
  size_t kv_rank_;  // 0: no latents
  size_t n_rot_;
  size_t n_vocab_ = 0;
  double eps_;
  double rope_base_;
  double rope_factor_;  // linear scaling, or that of YaRN
  bool yarn_;
  double original_context_;
  double rope_magnitude_;
  size_t window_;  // 0: none
  double attention_cap_;
  double logit_cap_;
  double embedding_scale_;
  double residual_scale_;
  double attention_scale_;
  double logit_scale_;  // is divided by
  std::map<std::string, Vector> tensors_;
};

// sum((a - b)^2) / sum(b^2), in float64. Requires: the same size.
double Nmse(std::span<const float> a, std::span<const double> b);
double Nmse(std::span<const float> a, std::span<const float> b);

}  // namespace llmrun
