#include "model/scratch.h"

#include <algorithm>

#include "base/checked.h"
#include "model/work_memory.h"

namespace llmrun {
namespace {

constexpr uint64_t kArrayAlignment = 128;  // no two arrays share a pair of cache lines

// Gives out consecutive pieces of a range. With a null base it only counts.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}

  template <typename T>
  T* Take(int64_t count) {
    const uint64_t at = used_bytes_;
    used_bytes_ += AlignUp(static_cast<uint64_t>(count) * sizeof(T), kArrayAlignment);
    if (base_ == nullptr) return nullptr;
    return static_cast<T*>(static_cast<void*>(base_ + at));
  }
  QuantizedBuffer TakeQuantized(int64_t count) {
    QuantizedBuffer buffer;
    buffer.q = Take<int8_t>(count);
    buffer.scale = Take<float>(count / kQuantBlock + 1);
    buffer.sums = Take<int16_t>(count / kSumBlock + 1);
    return buffer;
  }
  uint64_t used_bytes() const { return used_bytes_; }

 private:
  std::byte* base_;
  uint64_t used_bytes_ = 0;
};

ExpertScratch CarveExperts(const ModelConfig& config, const ScratchShape& shape, Carver& carver) {
  ExpertScratch arrays;
  if (!config.has_experts()) return arrays;
  const int64_t n = shape.n_batch;
  const int64_t rows = n * config.n_experts_used;
  arrays.logits = carver.Take<float>(std::max<int64_t>(n, shape.members) * config.n_experts);
  arrays.choices = carver.Take<ExpertChoice>(rows);
  arrays.own_choices = carver.Take<ExpertChoice>(shape.members * config.n_experts_used);
  arrays.rows.first = carver.Take<int64_t>(config.n_experts + 1);
  arrays.rows.token = carver.Take<int64_t>(rows);
  arrays.rows.of_choice = carver.Take<int64_t>(rows);
  arrays.x = carver.Take<float>(rows * config.d_model);
  arrays.xq = carver.TakeQuantized(rows * config.d_model);
  arrays.out = carver.Take<float>(rows * config.d_model);
  return arrays;
}

LatentScratch CarveLatent(const ModelConfig& config, int64_t n, Carver& carver) {
  LatentScratch arrays;
  if (!config.has_latent()) return arrays;
  arrays.q_a = carver.Take<float>(n * config.latent.q_rank);
  arrays.kv_a = carver.Take<float>(n * (config.latent.kv_rank + config.n_rot));
  const int64_t rows = n * config.n_heads;
  if (!config.latent.cached) {
    arrays.kv_b = carver.Take<float>(rows * config.latent_rows());
    return arrays;
  }
  const int64_t longest = std::max(config.latent.kv_rank, config.latent.query_dim);
  arrays.q = carver.Take<float>(rows * config.latent.query_dim);
  arrays.by_head = carver.Take<float>(rows * longest);
  arrays.by_head_q = carver.TakeQuantized(rows * longest);
  arrays.out = carver.Take<float>(rows * config.latent.output_dim);
  return arrays;
}

// The longest row that is normalized.
int64_t NormedCols(const ModelConfig& config) {
  int64_t cols = std::max({config.d_model, config.latent.q_rank, config.latent.kv_rank});
  if (config.kind.sub_norms) cols = std::max({cols, config.attention_dim(), config.d_ff});
  return cols;
}

// What the feed-forward blocks of n tokens have between their matrices.
int64_t FeedForwardFloats(const ModelConfig& config, int64_t n) {
  const int64_t d_ff =
      config.HasExperts(0) ? config.d_ff_shared : std::max(config.d_ff, config.d_ff_shared);
  return n * std::max(d_ff, config.n_experts_used * config.d_ff_expert);
}

ScratchArrays Carve(const ModelConfig& config, const ScratchShape& shape, Carver& carver) {
  const int64_t n = shape.n_batch;
  const int64_t rows = std::max<int64_t>(n, shape.members);
  ScratchArrays arrays;
  arrays.embd = carver.Take<std::byte>(n * static_cast<int64_t>(shape.embd_row_bytes));
  arrays.x = carver.Take<float>(n * config.d_model);
  arrays.delta = carver.Take<float>(n * config.d_model);
  const int64_t normed = NormedCols(config);
  arrays.normed = carver.Take<float>(rows * normed);
  arrays.input = carver.TakeQuantized(rows * std::max(normed, config.output_dim()));
  if (shape.tables) {
    const int64_t longest =
        std::max({normed, config.output_dim(), config.d_ff, config.d_ff_shared});
    arrays.tables_stride =
        static_cast<int64_t>(AlignUp(static_cast<uint64_t>(TableBytes(longest)), kArrayAlignment));
    arrays.tables = carver.Take<int8_t>(shape.members * arrays.tables_stride);
  }
  arrays.q = carver.Take<float>(n * config.q_dim());
  arrays.k = carver.Take<float>(n * config.k_dim());
  arrays.v = carver.Take<float>(config.has_latent() ? 0 : n * config.v_dim());
  arrays.latent = CarveLatent(config, n, carver);
  arrays.attention = carver.Take<float>(n * config.attention_dim());
  const int64_t gated = FeedForwardFloats(config, n);
  arrays.gate = carver.Take<float>(gated);
  arrays.up = carver.Take<float>(gated);
  arrays.activation = carver.TakeQuantized(std::max(gated, n * config.attention_dim()));
  arrays.experts = CarveExperts(config, shape, carver);
  arrays.attending_stride = static_cast<int64_t>(
      AlignUp(static_cast<uint64_t>(AttentionScratchFloats(config.head_dim, config.value_dim)),
              kArrayAlignment / sizeof(float)));
  arrays.attending = carver.Take<float>(shape.members * arrays.attending_stride);
  arrays.chunks_of_head =
      (shape.n_ctx + kAttentionChunk - 1) / kAttentionChunk * AttentionSumsFloats(config.value_dim);
  arrays.chunks = carver.Take<float>(config.n_heads * arrays.chunks_of_head);
  arrays.last_logits = carver.Take<float>(config.n_vocab);
  return arrays;
}

}  // namespace

Result<Scratch> Scratch::Create(const ModelConfig& config, const ScratchShape& shape) {
  Carver counter(nullptr);
  Carve(config, shape, counter);  // below 2^60 by the limits of ModelConfig
  ASSIGN_OR_RETURN(
      Arena arena,
      ReserveWorkMemory(counter.used_bytes(),
                        fmt::format("work memory for batches of {} tokens", shape.n_batch),
                        "smaller batches (-b) or a smaller context (-c)", shape.nodes));
  Carver carver(arena.data());
  const ScratchArrays arrays = Carve(config, shape, carver);
  return Scratch(std::move(arena), arrays);
}

}  // namespace llmrun
