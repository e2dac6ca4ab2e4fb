// How the tensors of a checkpoint become those of a GGUF.
#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <iterator>
#include <set>

#include "loader/gguf/printable.h"
#include "model/hf_config.h"

namespace llmrun {
namespace {

struct Part {
  std::string_view from, to;
};
constexpr Part kLayerParts[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};

// The part of "model.layers.<layer>.<part>", and the layer.
std::optional<std::pair<int64_t, std::string_view>> LayerPart(std::string_view name) {
  constexpr std::string_view kPrefix = "model.layers.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  int64_t layer = 0;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  const auto digits = static_cast<size_t>(rest - name.data());
  if (error != std::errc() || layer < 0 || digits >= name.size() || *rest != '.') {
    return std::nullopt;
  }
  return std::pair(layer, name.substr(digits + 1));
}

// What every layer has, in the names of a GGUF.
std::vector<std::string> LayerTensors(const HfModel& model) {
  const Architecture& kind = model.kind;
  std::vector<std::string> names = {"attn_norm.weight", "attn_q.weight",      "attn_k.weight",
                                    "attn_v.weight",    "attn_output.weight", "ffn_norm.weight",
                                    "ffn_gate.weight",  "ffn_up.weight",      "ffn_down.weight"};
  const auto add = [&](bool has, std::initializer_list<const char*> more) {
    if (has) names.insert(names.end(), more.begin(), more.end());
  };
  add(kind.qkv_bias == Presence::kAlways, {"attn_q.bias", "attn_k.bias", "attn_v.bias"});
  add(kind.qk_norm != QkNorm::kNone, {"attn_q_norm.weight", "attn_k_norm.weight"});
  add(kind.post_norms, {"post_attention_norm.weight", "post_ffw_norm.weight"});
  return names;
}

// Empty where the architecture has no such tensor.
std::string LayerTensorName(const HfModel& model, std::string_view part) {
  const size_t dot = std::min(part.rfind('.'), part.size());
  const std::string_view what = part.substr(dot);  // ".weight"
  part = part.substr(0, dot);
  std::string name;
  if (part == "pre_feedforward_layernorm" && !model.kind.post_norms) return "";
  if (part == "post_attention_layernorm") {
    name = model.is_gemma() ? "post_attention_norm" : "ffn_norm";
  } else if (const auto* it = std::ranges::find(kLayerParts, part, &Part::from);
             it != std::end(kLayerParts)) {
    name = it->to;
  }
  name += what;
  const std::vector<std::string> known = LayerTensors(model);
  return std::ranges::find(known, name) != known.end() ? name : "";
}

}  // namespace

Result<HfTensor> MapHfTensor(const HfModel& model, std::string_view name) {
  HfTensor tensor;
  if (name.ends_with("rotary_emb.inv_freq")) return tensor;
  if (name == "lm_head.weight") {
    if (!model.tied) tensor.name = "output.weight";
    return tensor;
  }
  if (name == "model.embed_tokens.weight") tensor.name = "token_embd.weight";
  if (name == "model.norm.weight") tensor.name = "output_norm.weight";
  if (const auto part = LayerPart(name)) {
    const std::string in_layer = LayerTensorName(model, part->second);
    if (!in_layer.empty() && part->first < model.n_layers) {
      tensor.name = fmt::format("blk.{}.{}", part->first, in_layer);
    }
    // Only the architecture llama rotates pairs of neighbours.
    const bool rotated = in_layer.starts_with("attn_q.") || in_layer.starts_with("attn_k.");
    if (rotated && model.architecture == "llama") tensor.interleaved = model.head_dim;
  }
  if (model.is_gemma() && tensor.name.ends_with("norm.weight")) tensor.added = 1;
  if (!tensor.name.empty()) return tensor;
  return MakeError(ErrorCode::kUnavailable, "tensor {}: not known of {}", Quoted(name),
                   model.architecture);
}

Status CheckHfTensors(const HfModel& model, std::span<const std::string> names,
                      const std::string& label) {
  std::set<std::string_view> there;
  for (const std::string& name : names) {
    if (there.insert(name).second) continue;
    return MakeError(ErrorCode::kBadData, "{}: two tensors become {}", label, Quoted(name));
  }
  const auto check = [&](const std::string& name) -> Status {
    if (there.contains(name)) return {};
    return MakeError(ErrorCode::kBadData, "{}: no tensor becomes {}", label, Quoted(name));
  };
  for (int64_t layer = 0; layer < model.n_layers; ++layer) {
    for (const std::string& part : LayerTensors(model)) {
      RETURN_IF_ERROR(check(fmt::format("blk.{}.{}", layer, part)));
    }
  }
  if (!model.tied) RETURN_IF_ERROR(check("output.weight"));
  RETURN_IF_ERROR(check("output_norm.weight"));
  return check("token_embd.weight");
}

}  // namespace llmrun
