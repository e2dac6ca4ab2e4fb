#include "model/quantize_mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/fallback.h"
#include "base/small_file.h"
#include "compute/quantize.h"
#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

using enum DType;

constexpr QuantizeTarget kTargets[] = {
    {"F32", kF32, Mix::kOneType, 0},        {"F16", kF16, Mix::kOneType, 1},
    {"BF16", kBF16, Mix::kOneType, 32},     {"Q8_0", kQ8_0, Mix::kOneType, 7},
    {"Q4_0", kQ4_0, Mix::kQ4_0, 2},         {"Q4_1", kQ4_1, Mix::kOneType, 3},
    {"Q5_0", kQ5_0, Mix::kQ5_0, 8},         {"Q5_1", kQ5_1, Mix::kOneType, 9},
    {"Q2_K", kQ2_K, Mix::kQ2_K, 10},        {"Q2_K_S", kQ2_K, Mix::kQ2_K_S, 21},
    {"Q3_K_S", kQ3_K, Mix::kQ3_K_S, 11},    {"Q3_K_M", kQ3_K, Mix::kQ3_K_M, 12},
    {"Q3_K_L", kQ3_K, Mix::kQ3_K_L, 13},    {"Q4_K_S", kQ4_K, Mix::kQ4_K_S, 14},
    {"Q4_K_M", kQ4_K, Mix::kQ4_K_M, 15},    {"Q5_K_S", kQ5_K, Mix::kQ5_K_S, 16},
    {"Q5_K_M", kQ5_K, Mix::kQ5_K_M, 17},    {"Q6_K", kQ6_K, Mix::kOneType, 18},
    {"IQ4_NL", kIQ4_NL, Mix::kIq4, 25},     {"IQ4_XS", kIQ4_XS, Mix::kIq4, 30},
    {"MXFP4", kMXFP4, Mix::kOneType, 38},   {"TQ1_0", kTQ1_0, Mix::kTernary, 36},
    {"TQ2_0", kTQ2_0, Mix::kTernary, 37},   {"I2_S", kI2_S, Mix::kTernary, 40},
    {"IQ2_BN", kIQ2_BN, Mix::kTernary, 137}};

// Names that stand for the usual mixture of a type.
constexpr std::pair<std::string_view, std::string_view> kShortNames[] = {
    {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};

enum class Role : uint8_t { kAttnV, kAttnOutput, kAttnQkv, kFfnDown };

// What else must hold for a rule.
enum class When : uint8_t {
  kAlways,
  kSharedValues,  // at least four queries share a value head
  kMoreBits,      // the first and last eighth of the layers, and every third between
  kFirstEighth,
  kFirstEighthPlain,      // without importance
  kFirstEighthImportant,  // with it
  kFirstSixteenth,
  kFirstTwo,
  kFirstFour,
};

struct Rule {
  Mix mix;
  Role role;
  When when;
  DType type;
};

// The first that applies is the one; otherwise the target's type.
constexpr Rule kRules[] = {
    {Mix::kQ4_0, Role::kFfnDown, When::kFirstEighthImportant, kQ4_1},
    {Mix::kQ5_0, Role::kFfnDown, When::kFirstEighthImportant, kQ5_1},
    {Mix::kQ2_K, Role::kAttnV, When::kSharedValues, kQ4_K},
    {Mix::kQ2_K, Role::kAttnV, When::kAlways, kQ3_K},
    {Mix::kQ2_K, Role::kFfnDown, When::kAlways, kQ3_K},
    {Mix::kQ2_K, Role::kAttnOutput, When::kAlways, kQ3_K},
    {Mix::kQ2_K_S, Role::kAttnV, When::kSharedValues, kQ4_K},
    {Mix::kQ2_K_S, Role::kFfnDown, When::kFirstEighth, kQ4_K},
    {Mix::kQ3_K_M, Role::kAttnV, When::kFirstTwo, kQ5_K},
    {Mix::kQ3_K_M, Role::kAttnV, When::kAlways, kQ4_K},
    {Mix::kQ3_K_M, Role::kFfnDown, When::kFirstSixteenth, kQ5_K},
    {Mix::kQ3_K_M, Role::kFfnDown, When::kAlways, kQ4_K},
    {Mix::kQ3_K_M, Role::kAttnOutput, When::kAlways, kQ4_K},
    {Mix::kQ3_K_M, Role::kAttnQkv, When::kAlways, kQ4_K},
    {Mix::kQ3_K_L, Role::kAttnV, When::kAlways, kQ5_K},
    {Mix::kQ3_K_L, Role::kFfnDown, When::kAlways, kQ5_K},
    {Mix::kQ3_K_L, Role::kAttnOutput, When::kAlways, kQ5_K},
    {Mix::kQ3_K_L, Role::kAttnQkv, When::kAlways, kQ4_K},
    {Mix::kQ4_K_S, Role::kAttnV, When::kFirstFour, kQ5_K},
    {Mix::kQ4_K_S, Role::kFfnDown, When::kFirstEighth, kQ5_K},
    {Mix::kQ4_K_M, Role::kAttnV, When::kMoreBits, kQ6_K},
    {Mix::kQ4_K_M, Role::kFfnDown, When::kMoreBits, kQ6_K},
    {Mix::kQ4_K_M, Role::kAttnQkv, When::kAlways, kQ5_K},
    {Mix::kQ5_K_M, Role::kAttnV, When::kMoreBits, kQ6_K},
    {Mix::kQ5_K_M, Role::kFfnDown, When::kMoreBits, kQ6_K},
    {Mix::kQ5_K_M, Role::kAttnQkv, When::kAlways, kQ6_K},
    {Mix::kIq4, Role::kAttnV, When::kSharedValues, kQ5_K},
    {Mix::kIq4, Role::kFfnDown, When::kFirstEighthPlain, kQ5_K},
};

// Matrices that are small or read in other ways than by a product.
constexpr std::string_view kKept[] = {"_norm.weight",       "ffn_gate_inp", "position_embd.weight",
                                      "token_types.weight", "ssm_conv1d",   "shortconv"};

struct ModelFacts {
  uint64_t n_layers = 1;
  uint64_t queries_per_value = 1;
  uint64_t n_experts = 0;
  bool tied = false;
};

ModelFacts FactsOf(const TensorIndex& index) {
  const Metadata& metadata = index.metadata();
  const std::string prefix(metadata.GetString("general.architecture").value_or(""));
  // A list, one number a layer, counts as one that is not there.
  const auto number = [&](const char* key, uint64_t absent) {
    return metadata.GetUintOr(prefix + key, absent).value_or(absent);
  };
  ModelFacts facts;
  facts.n_layers = std::max<uint64_t>(1, number(".block_count", index.group_count() - 2));
  const uint64_t heads = number(".attention.head_count", 1);
  const uint64_t kv_heads = number(".attention.head_count_kv", heads);
  facts.queries_per_value = kv_heads > 0 ? heads / kv_heads : 1;
  facts.n_experts = number(".expert_count", 0);
  facts.tied = !index.Find("output.weight").has_value();
  return facts;
}

std::optional<Role> RoleOf(std::string_view name) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("attn_v.weight")) return Role::kAttnV;
  if (has("attn_output.weight")) return Role::kAttnOutput;
  if (has("attn_qkv.weight")) return Role::kAttnQkv;
  if (has("ffn_down")) return Role::kFfnDown;
  return std::nullopt;
}

bool Holds(When when, uint64_t layer, const ModelFacts& facts, bool has_importance) {
  const uint64_t n = facts.n_layers;
  switch (when) {
    case When::kAlways:
      return true;
    case When::kSharedValues:
      return facts.queries_per_value >= 4;
    case When::kMoreBits:
      return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    case When::kFirstEighth:
      return layer < n / 8;
    case When::kFirstEighthPlain:
      return !has_importance && layer < n / 8;
    case When::kFirstEighthImportant:
      return has_importance && layer < n / 8;
    case When::kFirstSixteenth:
      return layer < n / 16;
    case When::kFirstTwo:
      return layer < 2;
    case When::kFirstFour:
      return layer < 4;
  }
  return false;
}

// Few experts leave little of a model in what all tokens share: that is kept well.
std::optional<DType> TypeBesideExperts(Mix mix, DType type, std::string_view name) {
  constexpr uint32_t kMostBlockBytes = 144;  // of 256 values: Q4_K
  const BlockTraits& traits = TraitsOf(type);
  const bool at_most_4_bits = 256 / traits.block_elems * traits.block_bytes <= kMostBlockBytes;
  if (name.ends_with("attn_k.weight") || name.ends_with("attn_v.weight")) return kQ8_0;
  const bool raised = mix != Mix::kOneType && mix != Mix::kTernary && mix != Mix::kQ4_0;
  if (name.ends_with("attn_output.weight") && raised && at_most_4_bits) return kQ5_K;
  return std::nullopt;
}

DType TypeInLayer(const QuantizeOptions& options, const ModelFacts& facts,
                  const IndexedTensor& tensor) {
  const QuantizeTarget& target = options.target;
  constexpr uint64_t kFewExperts = 8;
  if (facts.n_experts == kFewExperts) {
    if (const auto type = TypeBesideExperts(target.mix, target.type, tensor.name)) return *type;
  }
  const std::optional<Role> role = RoleOf(tensor.name);
  const uint64_t layer = tensor.group - 1;
  DType type = target.type;
  for (const Rule& rule : kRules) {
    if (rule.mix != target.mix || rule.role != role) continue;
    if (!Holds(rule.when, layer, facts, options.has_importance)) continue;
    type = rule.type;
    break;
  }
  // 80 layers with eight queries a value: the values of 70B models are small, and worth it.
  if (role == Role::kAttnV && facts.queries_per_value == 8 && facts.n_layers == 80 &&
      (type == kQ3_K || type == kQ4_K)) {
    type = kQ5_K;
  }
  return type;
}

DType WantedType(const QuantizeOptions& options, const ModelFacts& facts,
                 const IndexedTensor& tensor) {
  const QuantizeTarget& target = options.target;
  const bool embeddings = tensor.name == "token_embd.weight";
  if (tensor.name == "output.weight" && options.output_type) return *options.output_type;
  if (embeddings && options.embedding_type) return *options.embedding_type;
  const bool plain = target.type == kF32 || target.type == kF16 || target.type == kBF16;
  if (options.pure || plain) return target.type;
  if (tensor.name == "output.weight" || (embeddings && facts.tied)) {
    if (options.output_type) return *options.output_type;
    if (target.type == kQ8_0) return target.type;
    return tensor.dims[0] % 256 == 0 ? kQ6_K : kQ8_0;
  }
  if (embeddings) return target.mix == Mix::kTernary ? kQ4_K : target.type;
  return tensor.group == 0 ? target.type : TypeInLayer(options, facts, tensor);
}

// The nearest type, with at least as many bits, whose blocks are shorter.
DType ShorterBlocks(DType type) {
  switch (type) {
    case kQ2_K:
    case kQ3_K:
    case kIQ4_XS:
      return kIQ4_NL;
    case kQ4_K:
      return kQ5_0;
    case kQ5_K:
      return kQ5_1;
    case kQ6_K:
      return kQ8_0;
    default:
      return kF16;
  }
}

bool IsKept(const QuantizeOptions& options, const IndexedTensor& tensor) {
  if (tensor.n_dims < 2 || !tensor.name.ends_with("weight")) return true;
  if (options.leave_output && tensor.name == "output.weight") return true;
  return std::ranges::any_of(
      kKept, [&](std::string_view part) { return tensor.name.find(part) != std::string::npos; });
}

bool IsFloat(DType type) { return type == kF32 || type == kF16 || type == kBF16; }

}  // namespace

std::vector<std::string_view> QuantizeTargetNames() {
  std::vector<std::string_view> names;
  for (const QuantizeTarget& target : kTargets) names.push_back(target.name);
  return names;
}

Result<QuantizeTarget> ParseQuantizeTarget(std::string_view text) {
  std::string name(text);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  for (const auto& [from, to] : kShortNames) {
    if (name == from) name = to;
  }
  const std::optional<uint64_t> number = ParseNumber(text);
  const auto* it = std::ranges::find_if(kTargets, [&](const QuantizeTarget& target) {
    return target.name == name || (number && target.file_type == *number);
  });
  if (it != std::end(kTargets)) return *it;
  return MakeError(ErrorCode::kUsage, "type '{}': expected one of {}", text,
                   fmt::join(QuantizeTargetNames(), ", "));
}

Result<std::vector<TensorTarget>> PlanQuantize(const TensorIndex& index,
                                               const QuantizeOptions& options) {
  const ModelFacts facts = FactsOf(index);
  std::vector<TensorTarget> plan;
  for (const IndexedTensor& tensor : index.tensors()) {
    TensorTarget& planned = plan.emplace_back(TensorTarget{tensor.dtype, {}});
    if (IsKept(options, tensor)) continue;
    const DType wanted = WantedType(options, facts, tensor);
    planned.type = wanted;
    while (tensor.dims[0] % TraitsOf(planned.type).block_elems != 0) {
      planned.type = ShorterBlocks(planned.type);
    }
    if (planned.type != wanted) {
      planned.fallback = Fallback{.wanted = fmt::format("{} as {}", tensor.name, NameOf(wanted)),
                                  .got = std::string(NameOf(planned.type)),
                                  .why = fmt::format("{} columns are not a multiple of {}",
                                                     tensor.dims[0], TraitsOf(wanted).block_elems),
                                  .fix = "none is needed"}
                             .OneLine();
    }
    if (planned.type == tensor.dtype || IsFloat(tensor.dtype) || options.allow_requantize) continue;
    return MakeFixableError(
        ErrorCode::kUsage, "quantize the F16, BF16 or F32 model, or give --allow-requantize",
        "{}: tensor {} is {} already, and would lose twice",
        index.files()[tensor.extent.file].label, Quoted(tensor.name), NameOf(tensor.dtype));
  }
  return plan;
}

}  // namespace llmrun
