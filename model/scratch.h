// The arrays of the forward pass between its steps, for one batch of tokens.
//
// Owner: Scratch owns them. Threads: the forward pass says who writes what when.
// Failure: Create() gives kResource with the size and the fix when memory is short.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "compute/kernels.h"
#include "memory/arena.h"
#include "memory/node_set.h"
#include "model/expert_routing.h"
#include "model/model_config.h"

namespace llmrun {

struct ScratchShape {
  int64_t n_batch = 1;  // most tokens of a batch
  int members = 1;      // of the thread pool
  int64_t n_ctx = 1;
  uint64_t embd_row_bytes = 0;  // of one token's embedding, as the model stores it
  bool tables = false;          // products may be looked up
  NodeSet nodes = {};           // where it lies
};

// Rows of activations as int8, writable. Layout as QuantizedRows.
struct QuantizedBuffer {
  int8_t* q = nullptr;
  float* scale = nullptr;
  int16_t* sums = nullptr;

  // Begins at element `first` (a multiple of kQuantBlock), counted over all rows.
  QuantizedBuffer From(int64_t first) const {
    return {q + first, scale + first / kQuantBlock, sums + first / kSumBlock};
  }
  QuantizedRows Rows() const { return {q, scale, sums}; }
};

// Of mixtures of experts. Rows are those of the experts (model/expert_routing.h): n_batch x
// n_experts_used of them.
struct ExpertScratch {
  float* logits = nullptr;              // [max(n_batch, members)][n_experts] of the router
  ExpertChoice* choices = nullptr;      // [n_batch][n_experts_used]
  ExpertChoice* own_choices = nullptr;  // [members][n_experts_used] of a single token
  ExpertRows rows;
  float* x = nullptr;    // [rows][d_model] what goes into gate and up
  QuantizedBuffer xq;    // [rows][d_model]
  float* out = nullptr;  // [rows][d_model] what comes out of down
};

// Of latents (model_config.h): one row a token each.
struct LatentScratch {
  float* q_a = nullptr;   // [n_batch][q_rank]
  float* kv_a = nullptr;  // [n_batch][kv_rank + n_rot]
  float* kv_b = nullptr;  // [n_batch][n_heads][latent_rows], if they are not cached
  // If they are: queries as they are made, what is multiplied with matrices of heads, and what goes
  // into that of the output.
  float* q = nullptr;        // [n_batch][n_heads][query_dim]
  float* by_head = nullptr;  // [n_heads][n_batch][longest row]
  QuantizedBuffer by_head_q;
  float* out = nullptr;  // [n_batch][n_heads][output_dim]
};

struct ScratchArrays {
  std::byte* embd = nullptr;  // [n_batch][embd_row_bytes] of the batch's tokens
  float* x = nullptr;         // [n_batch][d_model] the residual stream
  float* delta = nullptr;     // [n_batch][d_model] what a block adds to it
  // Inputs of a matrix, one row a token; a batch of one token has one row a member instead.
  float* normed = nullptr;   // [max(n_batch, members)][longest row that is normalized]
  QuantizedBuffer input;     // as normed, or longer if attention_dim is
  int8_t* tables = nullptr;  // [members][tables_stride], of what they look up (kernels.h)
  int64_t tables_stride = 0;
  float* q = nullptr;  // [n_batch][q_dim]
  float* k = nullptr;  // [n_batch][k_dim]
  float* v = nullptr;  // [n_batch][v_dim]; where there are no latents
  LatentScratch latent;
  float* attention = nullptr;  // [n_batch][attention_dim]
  // Rows of tokens; of a mixture, those of the experts.
  float* gate = nullptr;       // [rows][d_ff of whichever kind]
  float* up = nullptr;         // the same
  QuantizedBuffer activation;  // as gate, or longer if attention is, of which it is first
  ExpertScratch experts;
  float* attending = nullptr;  // [members][attending_stride] scratch of the kernel
  int64_t attending_stride = 0;
  float* chunks = nullptr;       // [n_heads][chunks of n_ctx][AttentionSumsFloats()]
  int64_t chunks_of_head = 0;    // floats
  float* last_logits = nullptr;  // [n_vocab]
};

class Scratch {
 public:
  static Result<Scratch> Create(const ModelConfig& config, const ScratchShape& shape);
  const ScratchArrays& arrays() const { return arrays_; }
  uint64_t size_bytes() const { return arena_.size_bytes(); }

 private:
  Scratch(Arena arena, const ScratchArrays& arrays) : arena_(std::move(arena)), arrays_(arrays) {}

  Arena arena_;
  ScratchArrays arrays_;
};

}  // namespace llmrun
