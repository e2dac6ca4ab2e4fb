#include "model/session.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/stopwatch.h"
#include "model/forward.h"
#include "model/forward_plans.h"
#include "model/kernel_tuner.h"
#include "model/kv_cache.h"
#include "model/llama_weights.h"
#include "model/rope.h"
#include "model/scratch.h"
#include "model/work_memory.h"

namespace llmrun {
namespace {

constexpr GroupId kGroupBeforeLayers = 0;

Status CheckOptions(const SessionOptions& options) {
  if (options.n_ctx < 0 || static_cast<uint64_t>(options.n_ctx) > kMaxContext) {
    return MakeError(ErrorCode::kUsage, "context: expected 1..{} positions (0: chosen), found {}",
                     kMaxContext, options.n_ctx);
  }
  if (options.n_batch < 1) {
    return MakeError(ErrorCode::kUsage, "batch: expected at least 1 token, found {}",
                     options.n_batch);
  }
  return {};
}

Result<KvTypes> TypesOfCache(const ModelConfig& config, const SessionOptions& options) {
  const KvTypes types = {options.kv_type, options.v_type.value_or(options.kv_type)};
  for (const auto& [type, dim] :
       {std::pair(types.keys, config.head_dim), std::pair(types.values, config.value_dim)}) {
    if (!IsKvType(type)) {
      return MakeError(ErrorCode::kUsage,
                       "KV cache: expected type F32, F16, BF16, Q8_0 or Q4_0, found {}",
                       NameOf(type));
    }
    const uint32_t block = TraitsOf(type).block_elems;
    if (dim % block != 0) {
      return MakeFixableError(
          ErrorCode::kUnavailable, "-ctk f16 -ctv f16",
          "KV cache of type {}: expected heads of a multiple of {} elements, found {}",
          NameOf(type), block, dim);
    }
  }
  return types;
}

Result<LayerRopes> MakeRopes(const ModelConfig& config, const LlamaWeights& llama, int64_t n_ctx,
                             const std::string& label) {
  const bool is_long = llama.long_rope_factors != nullptr && n_ctx > config.rope_short_context;
  const float* chosen = is_long ? llama.long_rope_factors : llama.rope_factors;
  std::span<const float> factors;
  if (chosen != nullptr) factors = {chosen, static_cast<size_t>(config.n_rot / 2)};
  for (const float factor : factors) {
    if (!(factor > 0) || !std::isfinite(factor)) {
      return MakeError(ErrorCode::kBadData, "{}: tensor '{}': expected positive numbers, found {}",
                       label,
                       llama.long_rope_factors == nullptr ? "rope_freqs.weight"
                       : is_long                          ? "rope_factors_long.weight"
                                                          : "rope_factors_short.weight",
                       factor);
    }
  }
  LayerRopes ropes{RopeTable({.n_rot = config.n_rot,
                              .base = config.rope_base,
                              .scale = config.rope_scale,
                              .magnitude = config.rope_magnitude,
                              .yarn = config.yarn},
                             factors)};
  if (config.kind.local_rope_base > 0) {
    ropes.local.emplace(RopeParams{.n_rot = config.n_rot, .base = config.local_rope_base},
                        std::span<const float>());
  }
  return ropes;
}

uint64_t EmbeddingRowBytes(const Weights& weights, TensorId token_embd) {
  const IndexedTensor& tensor = weights.index().at(token_embd);
  return RowBytes(tensor.dtype, tensor.dims[0]);
}

// Whether every node that holds rows has members to multiply with them.
bool HasMembersOnAll(const NodeSet& nodes, const ThreadPool& pool) {
  return std::ranges::all_of(nodes, [&](unsigned node) {
    for (int i = 0; i < pool.size(); ++i) {
      if (pool.node(i) == node) return true;
    }
    return false;
  });
}

// Beside the weights: heads are dealt out where rows or copies are, for those who work there.
std::vector<NodeSet> HomesOfHeads(const ModelConfig& config, const PlacementPlan& plan,
                                  bool by_node) {
  if (!by_node || plan.arenas.size() < 2 ||
      config.n_kv_heads < static_cast<int64_t>(plan.nodes.size())) {
    return {plan.nodes};
  }
  std::vector<NodeSet> homes;
  for (const unsigned node : plan.nodes) homes.push_back({node});
  return homes;
}

}  // namespace

struct Session::Impl {
  ModelConfig config;
  LlamaWeights llama;
  const Weights& weights;
  const Kernels& kernels;
  ThreadPool& pool;
  ModelStrips strips;               // of llama
  std::vector<ForwardPlans> plans;  // of the last teams, the latest first
  int64_t n_ctx;
  int64_t n_batch;
  KvCache kv;
  Scratch scratch;
  std::function<bool()> interrupted;  // empty, or records in was_interrupted
  std::function<void(int64_t)> before_batch;
  std::function<void(int64_t, double)> after_batch;

  std::optional<KernelTuner> tuner;  // of llama
  std::optional<LayerRopes> rope;    // made when its factors have arrived
  std::optional<Arena> all_logits;   // grown on demand
  int64_t position = 0;
  std::vector<TokenId> cached;  // [position]
  bool was_interrupted = false;
  TraceLog* trace = nullptr;
  ImportanceCollector* importance = nullptr;

  Status CheckTokens(std::span<const TokenId> tokens) const;
  Status PrepareRope(int64_t end);
  Result<float*> LogitsFor(int64_t n_tokens);
  const ForwardPlans& Plans();
  Status RunBatches(std::span<const TokenId> tokens, LogitsOf which, float* logits);
};

Status Session::Impl::CheckTokens(std::span<const TokenId> tokens) const {
  if (tokens.empty()) return MakeError(ErrorCode::kUsage, "there are no tokens to evaluate");
  const uint64_t room = static_cast<uint64_t>(n_ctx - position);
  if (tokens.size() > room) {
    return MakeFixableError(
        ErrorCode::kUsage, fmt::format("-c {}", static_cast<uint64_t>(position) + tokens.size()),
        "{} tokens do not fit into a context of {} with {} in use", tokens.size(), n_ctx, position);
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= config.n_vocab) {
      return MakeError(ErrorCode::kUsage, "token {} of {}: expected an id of 0..{}, found {}", i,
                       tokens.size(), config.n_vocab - 1, tokens[i]);
    }
  }
  return {};
}

Status Session::Impl::PrepareRope(int64_t end) {
  if (!rope) {
    ASSIGN_OR_RETURN(rope, MakeRopes(config, llama, n_ctx, weights.index().metadata().label()));
  }
  rope->Grow(end);
  return {};
}

Result<float*> Session::Impl::LogitsFor(int64_t n_tokens) {
  const uint64_t bytes = static_cast<uint64_t>(n_tokens * config.n_vocab) * sizeof(float);
  if (!all_logits || all_logits->size_bytes() < bytes) {
    all_logits.reset();
    ASSIGN_OR_RETURN(all_logits,
                     ReserveWorkMemory(bytes, fmt::format("logits of {} tokens", n_tokens),
                                       "fewer tokens at a time", weights.plan().nodes));
  }
  return static_cast<float*>(static_cast<void*>(all_logits->data()));
}

// A prompt and the tokens after it may go to different teams in turn, the tokens to two of them.
const ForwardPlans& Session::Impl::Plans() {
  constexpr size_t kKeptPlans = 3;
  const auto found = std::ranges::find(plans, pool.team(), &ForwardPlans::team);
  if (found != plans.end()) return *found;
  if (plans.size() == kKeptPlans) plans.pop_back();
  return *plans.insert(plans.begin(), PlansOf(strips, pool.team()));
}

Status Session::Impl::RunBatches(std::span<const TokenId> tokens, LogitsOf which, float* logits) {
  const int64_t n_tokens = static_cast<int64_t>(tokens.size());
  for (int64_t begin = 0; begin < n_tokens; begin += n_batch) {
    const int64_t n = std::min(n_batch, n_tokens - begin);
    ForwardBatch batch;
    batch.tokens = tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(n));
    batch.position = position + begin;
    if (which == LogitsOf::kAll) {
      batch.n_logits = n;
      batch.logits = logits + begin * config.n_vocab;
    } else if (begin + n == n_tokens) {
      batch.n_logits = 1;
      batch.logits = logits;
    }
    RETURN_IF_ERROR(weights.CopyRows(llama.token_embd, batch.tokens, scratch.arrays().embd));
    if (before_batch) before_batch(n);
    const ForwardParts parts = {config,      llama,   weights,   kernels, pool,
                                strips,      Plans(), kv,        *rope,   scratch.arrays(),
                                interrupted, trace,   importance};
    if (n == 1 && tuner->pending() && AllArrived(weights, config)) {
      tuner->Measure(pool, scratch.arrays());
    }
    const Stopwatch watch;
    RETURN_IF_ERROR(RunForward(parts, batch));
    if (after_batch) after_batch(n, watch.Seconds());
  }
  return {};
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Create(const ModelConfig& config, const Weights& weights,
                                                 ThreadPool& pool, const SessionOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(LlamaWeights llama, BindLlama(config, weights));
  const int64_t n_ctx =
      options.n_ctx > 0 ? options.n_ctx : std::min(config.n_ctx_train, kDefaultContext);
  const int64_t n_batch = std::min(options.n_batch, n_ctx);
  const bool by_node = HasMembersOnAll(weights.plan().nodes, pool);
  ASSIGN_OR_RETURN(const KvTypes types, TypesOfCache(config, options));
  ASSIGN_OR_RETURN(KvCache kv, KvCache::Create(config, n_ctx, types,
                                               HomesOfHeads(config, weights.plan(), by_node)));
  ASSIGN_OR_RETURN(
      Scratch scratch,
      Scratch::Create(config, {.n_batch = n_batch,
                               .members = pool.size(),
                               .n_ctx = n_ctx,
                               .embd_row_bytes = EmbeddingRowBytes(weights, llama.token_embd),
                               .tables = options.kernels.mode != KernelTuning::Mode::kMultiply &&
                                         CanLookUpAny(llama),
                               .nodes = weights.plan().nodes}));
  std::unique_ptr<Impl> impl(new Impl{.config = config,
                                      .llama = std::move(llama),
                                      .weights = weights,
                                      .kernels = KernelsFor(options.isa),
                                      .pool = pool,
                                      .strips = {.layers = {}, .output = RowStrips({})},
                                      .plans = {},
                                      .n_ctx = n_ctx,
                                      .n_batch = n_batch,
                                      .kv = std::move(kv),
                                      .scratch = std::move(scratch),
                                      .interrupted = {},
                                      .before_batch = options.before_batch,
                                      .after_batch = options.after_batch,
                                      .tuner = {},
                                      .rope = {},
                                      .all_logits = {},
                                      .cached = {}});
  impl->strips = StripsOf(impl->llama, impl->config);
  impl->tuner.emplace(impl->llama, impl->kernels, options.kernels);
  impl->trace = options.trace;
  impl->importance = options.importance;
  if (options.interrupted) {
    impl->interrupted = [state = impl.get(), ask = options.interrupted] {
      return state->was_interrupted = ask();
    };
  }
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<std::span<const float>> Session::Forward(std::span<const TokenId> tokens, LogitsOf which) {
  impl_->was_interrupted = false;
  RETURN_IF_ERROR(impl_->CheckTokens(tokens));
  RETURN_IF_ERROR(impl_->weights.WaitGroup(kGroupBeforeLayers));
  const int64_t n_tokens = static_cast<int64_t>(tokens.size());
  RETURN_IF_ERROR(impl_->PrepareRope(impl_->position + n_tokens));
  float* logits = impl_->scratch.arrays().last_logits;
  if (which == LogitsOf::kAll) {
    ASSIGN_OR_RETURN(logits, impl_->LogitsFor(n_tokens));
  }
  RETURN_IF_ERROR(impl_->RunBatches(tokens, which, logits));
  RETURN_IF_ERROR(impl_->weights.CheckIntact());
  impl_->position += n_tokens;
  impl_->cached.insert(impl_->cached.end(), tokens.begin(), tokens.end());
  const int64_t rows = which == LogitsOf::kAll ? n_tokens : 1;
  return std::span<const float>(logits, static_cast<size_t>(rows * impl_->config.n_vocab));
}

int64_t Session::position() const { return impl_->position; }
std::span<const TokenId> Session::tokens() const { return impl_->cached; }
int64_t Session::n_ctx() const { return impl_->n_ctx; }
int64_t Session::n_vocab() const { return impl_->config.n_vocab; }
bool Session::interrupted() const { return impl_->was_interrupted; }
const KernelTuned& Session::tuned() const { return impl_->tuner->tuned(); }
uint64_t Session::kv_bytes() const { return impl_->kv.size_bytes(); }
uint64_t Session::scratch_bytes() const { return impl_->scratch.size_bytes(); }

void Session::Truncate(int64_t position) {
  CHECK(position >= 0 && position <= impl_->position);
  impl_->position = position;
  impl_->cached.resize(static_cast<size_t>(position));
}

int64_t Session::KeepPrefix(std::span<const TokenId> prompt) {
  const auto differ = std::ranges::mismatch(impl_->cached, prompt);
  const auto same = differ.in2 - prompt.begin();
  const auto most = static_cast<int64_t>(prompt.size()) - 1;
  Truncate(std::clamp<int64_t>(same, 0, std::max<int64_t>(most, 0)));
  return impl_->position;
}

std::vector<std::span<std::byte>> Session::KvRuns(int64_t positions) {
  CHECK(positions >= 0 && positions <= impl_->n_ctx);
  const ModelConfig& c = impl_->config;
  const uint64_t rows = AlignUp(static_cast<uint64_t>(positions), kKvGroup);
  const KvTypes types = impl_->kv.types();
  std::vector<std::span<std::byte>> runs;
  for (int64_t layer = 0; layer < c.n_layers; ++layer) {
    for (int64_t head = 0; head < c.n_kv_heads; ++head) {
      runs.emplace_back(impl_->kv.Keys(layer, head), rows * KvRowBytes(types.keys, c.head_dim));
      runs.emplace_back(impl_->kv.Values(layer, head),
                        rows * KvRowBytes(types.values, c.value_dim));
    }
  }
  return runs;
}

void Session::Adopt(std::vector<TokenId> tokens) {
  CHECK(static_cast<int64_t>(tokens.size()) <= impl_->n_ctx);
  impl_->position = static_cast<int64_t>(tokens.size());
  impl_->cached = std::move(tokens);
}

KvTypes Session::kv_types() const { return impl_->kv.types(); }
const ModelConfig& Session::config() const { return impl_->config; }
const Weights& Session::weights() const { return impl_->weights; }

}  // namespace llmrun
