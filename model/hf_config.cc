#include "model/hf_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numbers>

#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

using HfJson = nlohmann::json;

struct Family {
  std::string_view class_name;    // of transformers
  std::string_view architecture;  // of GGUF
};
constexpr Family kFamilies[] = {
    {"LlamaForCausalLM", "llama"}, {"MistralForCausalLM", "llama"}, {"Qwen2ForCausalLM", "qwen2"},
    {"Qwen3ForCausalLM", "qwen3"}, {"Gemma2ForCausalLM", "gemma2"}, {"Gemma3ForCausalLM", "gemma3"},
};

bool IsGemma(const HfModel& model) { return model.architecture.starts_with("gemma"); }

class ConfigConverter {
 public:
  ConfigConverter(const HfJson& json, const std::string& label) : json_(json), label_(label) {}

  Result<HfModel> Convert() {
    RETURN_IF_ERROR(ReadFamily());
    AddString("general.architecture", model_.architecture);
    RETURN_IF_ERROR(ReadSizes());
    RETURN_IF_ERROR(ReadRope());
    RETURN_IF_ERROR(ReadAttention());
    RETURN_IF_ERROR(CheckActivation());
    model_.tied = IsTrue("tie_word_embeddings", IsGemma(model_));
    model_.bos = IdOf("bos_token_id");
    model_.eos = IdOf("eos_token_id");
    return std::move(model_);
  }

 private:
  template <typename T>
  void Add(const char* name, MetaType type, T value) {
    model_.metadata.push_back({fmt::format("{}.{}", model_.architecture, name), type, value});
  }
  void AddUint(const char* name, int64_t value) {
    Add(name, MetaType::kUint32, static_cast<uint32_t>(value));
  }
  void AddFloat(const char* name, double value) {
    Add(name, MetaType::kFloat32, static_cast<float>(value));
  }
  void AddString(const char* key, const std::string& value) {
    model_.metadata.push_back({key, MetaType::kString, value});
  }

  tl::unexpected<Error> Refuse(std::string_view key, const std::string& why) const {
    return MakeError(ErrorCode::kUnavailable, "{}: {}: {}", label_, key, why);
  }
  bool Has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  bool IsTrue(const char* key, bool absent) const {
    return Has(key) && json_[key].is_boolean() ? json_[key].get<bool>() : absent;
  }

  Result<int64_t> Count(const char* key, std::optional<int64_t> absent = std::nullopt) const {
    constexpr int64_t kMost = int64_t{1} << 31;
    if (!Has(key) && absent) return *absent;
    if (Has(key) && json_[key].is_number_integer()) {
      const auto value = json_[key].get<int64_t>();
      if (value > 0 && value < kMost) return value;
    }
    return MakeError(ErrorCode::kBadData, "{}: {}: expected a number above 0, found {}", label_,
                     key, Has(key) ? Quoted(json_[key].dump()) : "nothing");
  }
  Result<double> Number(const HfJson& from, const char* key,
                        std::optional<double> absent = std::nullopt) const {
    const bool has = from.contains(key) && !from[key].is_null();
    if (!has && absent) return *absent;
    if (has && from[key].is_number()) return from[key].get<double>();
    return MakeError(ErrorCode::kBadData, "{}: {}: expected a number, found {}", label_, key,
                     has ? Quoted(from[key].dump()) : "nothing");
  }
  std::string TextOf(const HfJson& from, const char* key) const {
    return from.contains(key) && from[key].is_string() ? from[key].get<std::string>() : "";
  }
  // Of several, the first.
  std::optional<int64_t> IdOf(const char* key) const {
    if (!Has(key)) return std::nullopt;
    const HfJson& value = json_[key].is_array() && !json_[key].empty() ? json_[key][0] : json_[key];
    if (!value.is_number_integer() || value.get<int64_t>() < 0) return std::nullopt;
    return value.get<int64_t>();
  }

  Status ReadFamily() {
    const HfJson names = Has("architectures") ? json_["architectures"] : HfJson::array();
    const std::string name = names.is_array() && !names.empty() && names[0].is_string()
                                 ? names[0].get<std::string>()
                                 : "";
    const auto* family = std::ranges::find(kFamilies, name, &Family::class_name);
    if (family == std::end(kFamilies)) {
      std::string known;
      for (const Family& f : kFamilies)
        known += (known.empty() ? "" : ", ") + std::string(f.class_name);
      return Refuse("architectures",
                    fmt::format("{} cannot be converted; those that can: {}", Quoted(name), known));
    }
    model_.architecture = family->architecture;
    return {};
  }

  Status ReadSizes() {
    ASSIGN_OR_RETURN(const int64_t d_model, Count("hidden_size"));
    ASSIGN_OR_RETURN(const int64_t d_ff, Count("intermediate_size"));
    ASSIGN_OR_RETURN(const int64_t context, Count("max_position_embeddings"));
    ASSIGN_OR_RETURN(const int64_t n_vocab, Count("vocab_size"));
    ASSIGN_OR_RETURN(const double eps, Number(json_, "rms_norm_eps", 1e-6));
    ASSIGN_OR_RETURN(model_.n_layers, Count("num_hidden_layers"));
    ASSIGN_OR_RETURN(model_.n_heads, Count("num_attention_heads"));
    ASSIGN_OR_RETURN(model_.n_kv_heads, Count("num_key_value_heads", model_.n_heads));
    ASSIGN_OR_RETURN(model_.head_dim,
                     Count("head_dim", std::max<int64_t>(1, d_model / model_.n_heads)));
    if (model_.head_dim % 2 != 0) {
      return MakeError(ErrorCode::kBadData,
                       "{}: heads of {} dimensions, an even number is expected", label_,
                       model_.head_dim);
    }
    AddUint("context_length", context);
    AddUint("embedding_length", d_model);
    AddUint("block_count", model_.n_layers);
    AddUint("feed_forward_length", d_ff);
    AddUint("attention.head_count", model_.n_heads);
    AddUint("attention.head_count_kv", model_.n_kv_heads);
    AddUint("attention.key_length", model_.head_dim);
    AddUint("attention.value_length", model_.head_dim);
    AddUint("vocab_size", n_vocab);
    AddFloat("attention.layer_norm_rms_epsilon", eps);
    return {};
  }

  // Older files have rope_theta and rope_scaling side by side, newer ones rope_parameters.
  Status ReadRope() {
    const bool newer = Has("rope_parameters");
    const HfJson scaling = newer                 ? json_["rope_parameters"]
                           : Has("rope_scaling") ? json_["rope_scaling"]
                                                 : HfJson::object();
    if (!scaling.is_object()) return Refuse("rope_scaling", "an object is expected");
    ASSIGN_OR_RETURN(const double base,
                     Number(newer ? scaling : json_, "rope_theta",
                            newer ? std::nullopt : std::optional<double>(10000)));
    AddUint("rope.dimension_count", model_.head_dim);
    AddFloat("rope.freq_base", base);
    std::string type = TextOf(scaling, "rope_type");
    if (type.empty()) type = TextOf(scaling, "type");
    if (type.empty() || type == "default") return {};
    if (type == "llama3" && model_.architecture == "llama") return ReadLlama3(scaling, base);
    if (type != "linear") return Refuse("rope_scaling", Quoted(type) + " is not supported");
    ASSIGN_OR_RETURN(const double factor, Number(scaling, "factor"));
    Add("rope.scaling.type", MetaType::kString, std::string("linear"));
    AddFloat("rope.scaling.factor", factor);
    return {};
  }

  // Llama 3.1: long waves are stretched by a factor, short ones stay, those between do in part.
  Status ReadLlama3(const HfJson& scaling, double base) {
    ASSIGN_OR_RETURN(const double factor, Number(scaling, "factor"));
    ASSIGN_OR_RETURN(const double low, Number(scaling, "low_freq_factor"));
    ASSIGN_OR_RETURN(const double high, Number(scaling, "high_freq_factor"));
    ASSIGN_OR_RETURN(const double old, Number(scaling, "original_max_position_embeddings"));
    if (!(factor > 0 && low > 0 && high > low && old > 0)) {
      return MakeError(ErrorCode::kBadData, "{}: rope_scaling: factors {:g}, {:g}, {:g} of {:g}",
                       label_, factor, low, high, old);
    }
    const auto dim = static_cast<double>(model_.head_dim);
    for (int64_t i = 0; i < model_.head_dim; i += 2) {
      const double wave = 2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / dim);
      const double smooth = std::clamp((old / wave - low) / (high - low), 0.0, 1.0);
      model_.rope_factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
    return {};
  }

  Status ReadAttention() {
    const bool window = Has("sliding_window") && IsTrue("use_sliding_window", true);
    if (window) {
      ASSIGN_OR_RETURN(const int64_t size, Count("sliding_window"));
      AddUint("attention.sliding_window", size);
    }
    if (!IsGemma(model_)) return {};
    if (!window) return Refuse("sliding_window", "is missing");
    // The scale of scores is that of the length of a head: nothing else can be said in a GGUF.
    ASSIGN_OR_RETURN(const double scaled_by,
                     Number(json_, "query_pre_attn_scalar", static_cast<double>(model_.head_dim)));
    if (scaled_by != static_cast<double>(model_.head_dim)) {
      return Refuse("query_pre_attn_scalar", fmt::format("{:g} beside heads of {} is not supported",
                                                         scaled_by, model_.head_dim));
    }
    if (model_.architecture == "gemma3") {
      ASSIGN_OR_RETURN(const double local, Number(json_, "rope_local_base_freq", 10000));
      ASSIGN_OR_RETURN(const int64_t every, Count("sliding_window_pattern", 6));
      if (local != 10000 || every != 6) {
        return Refuse("sliding_window_pattern",
                      fmt::format("{} with base {:g} is not supported", every, local));
      }
      return {};
    }
    ASSIGN_OR_RETURN(const double scores, Number(json_, "attn_logit_softcapping"));
    ASSIGN_OR_RETURN(const double logits, Number(json_, "final_logit_softcapping"));
    AddFloat("attn_logit_softcapping", scores);
    AddFloat("final_logit_softcapping", logits);
    return {};
  }

  Status CheckActivation() const {
    std::string found = TextOf(json_, "hidden_activation");
    if (found.empty()) found = TextOf(json_, "hidden_act");
    const std::string_view wanted = IsGemma(model_) ? "gelu_pytorch_tanh" : "silu";
    if (found.empty() || found == wanted) return {};
    return Refuse("hidden_act",
                  fmt::format("{} is not supported (only {} is)", Quoted(found), wanted));
  }

  const HfJson& json_;
  const std::string& label_;
  HfModel model_;
};

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

std::string LayerTensorName(const HfModel& model, std::string_view part) {
  const size_t dot = part.rfind('.');
  if (dot == std::string_view::npos) return "";
  const std::string_view what = part.substr(dot);  // ".weight"
  part = part.substr(0, dot);
  if (what != ".weight" && (what != ".bias" || model.architecture != "qwen2")) return "";
  if (part == "post_attention_layernorm") {
    return std::string(IsGemma(model) ? "post_attention_norm" : "ffn_norm") + std::string(what);
  }
  const auto* it = std::ranges::find(kLayerParts, part, &Part::from);
  return it == std::end(kLayerParts) ? "" : std::string(it->to) + std::string(what);
}

}  // namespace

Result<HfModel> ReadHfConfig(std::string_view json, const std::string& label) {
  const HfJson parsed = HfJson::parse(json, nullptr, false);
  if (!parsed.is_object()) return MakeError(ErrorCode::kBadData, "{}: no JSON object", label);
  return ConfigConverter(parsed, label).Convert();
}

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
  if (IsGemma(model) && tensor.name.ends_with("norm.weight")) tensor.added = 1;
  if (!tensor.name.empty()) return tensor;
  return MakeError(ErrorCode::kUnavailable, "tensor {}: not known of {}", Quoted(name),
                   model.architecture);
}

}  // namespace llmrun
