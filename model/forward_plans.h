// How the steps of a forward pass are dealt out to one team: made when the team changes, used for
// every batch.
// Threads: a value. Must outlive it: nothing.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "compute/kernels.h"
#include "model/kv_cache.h"
#include "model/row_strips.h"
#include "sched/step_plan.h"
#include "sched/team.h"

namespace llmrun {

// Inner borders of row ranges: whole cache lines of output, whole blocks of quantized activations.
inline constexpr int64_t kRowGrain = 16;
inline constexpr int64_t kActivationGrain = kQuantBlock;

// What the steps are for.
enum ForwardZone : Zone {
  kZoneEmbed,
  kZoneProceed,  // waits for weights, asks for interrupts
  kZonePrepare,  // normalizes and quantizes several tokens
  kZoneLatent,   // what keys and values are made from, and perhaps queries
  kZoneQkv,
  kZoneStoreKv,
  kZoneAttend,
  kZoneAttnOutput,
  kZoneGateUp,
  kZoneDown,
  kZoneRoute,       // to which experts tokens go; normalizes and quantizes them
  kZoneGather,      // the rows of each expert side by side
  kZoneAddExperts,  // what the experts of a token give
  kZoneLogits,
  kForwardZones,
};
// [kForwardZones] "embed", ...
const std::array<std::string_view, kForwardZones>& ForwardZoneNames();

struct LayerPlans {
  StepPlan latent;
  StepPlan q;
  StepPlan qkv;
  StepPlan v;
  StepPlan attn_output;
  StepPlan gate;
  StepPlan down;
};

struct ForwardPlans {
  std::shared_ptr<const Team> team;
  std::vector<LayerPlans> layers;
  StepPlan output;
  StepPlan proceed;
};
ForwardPlans PlansOf(const ModelStrips& strips, std::shared_ptr<const Team> team);

struct BatchShape {
  int64_t n_tokens = 1;
  int64_t n_logits = 0;
  int64_t position = 0;  // of the first token
};

// The steps of a layer whose feed-forward block is a mixture of experts. Their sizes follow from
// the number of tokens alone, whichever experts these go to: a member that comes late does not
// know.
struct ExpertPlans {
  StepPlan route = {};   // tokens; none of a single one
  StepPlan gather = {};  // rows of the experts; none of a single token
  // Several tokens: all that experts do, in one line (ForEachExpert). A single one: (choice, panel)
  // of gate and up; rows of down, each for all choices.
  StepPlan gate = {};
  StepPlan down = {};
  StepPlan add = {};  // tokens; none of a single one
};
// Rows of an expert's matrix that stay together.
inline constexpr int64_t kExpertPanel = 32;
static_assert(kExpertPanel % kActivationGrain == 0 && kExpertPanel % kRowGrain == 0);
inline int64_t ExpertPanels(int64_t rows) { return (rows + kExpertPanel - 1) / kExpertPanel; }

// The steps whose sizes follow from the tokens of a batch.
struct BatchPlans {
  StepPlan embed;
  StepPlan prepare;         // all tokens
  StepPlan prepare_logits;  // those whose logits are wanted
  StepPlan store_kv;        // (kv head, token)
  StepPlan by_head;         // (head, token), of latents that are cached
  // Attention. Several tokens: (kv head, run of so many tokens).
  StepPlan attend = {};
  int64_t tokens_of_run = 1;
  // A single token, and enough heads of the cache to keep the team busy: together with store_kv, by
  // kv head. Otherwise (kv head, chunk of positions).
  StepPlan attend_by_kv_head = {};
  StepPlan attend_chunks = {};
  int64_t n_chunks = 0;
  ExpertPlans experts = {};
};
// Heads that are dealt out to nodes are at home there.
BatchPlans PlansOfBatch(const Team& team, const KvCache& kv, const ModelConfig& config,
                        const BatchShape& batch);

}  // namespace llmrun
