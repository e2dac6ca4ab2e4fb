#include "model/hf_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numbers>

#include "loader/gguf/printable.h"

namespace llmrun {
namespace {

using HfJson = nlohmann::json;

// What the classes of transformers take where config.json does not say it.
struct Family {
  std::string_view class_name;
  std::string_view architecture;  // of GGUF
  bool has_window = false;        // uses sliding_window, unless use_sliding_window says otherwise
  int64_t head_dim = 0;           // 0: hidden_size / num_attention_heads
  double rope_base = 10000;
};
constexpr Family kFamilies[] = {
    {"LlamaForCausalLM", "llama"},
    {"MistralForCausalLM", "llama", true},
    {"Qwen2ForCausalLM", "qwen2"},
    {"Qwen3ForCausalLM", "qwen3", false, 128},
    {"Gemma2ForCausalLM", "gemma2", true, 256},
    {"Gemma3ForCausalLM", "gemma3", true, 256, 1e6},
};

class ConfigConverter {
 public:
  ConfigConverter(const HfJson& json, const std::string& label) : json_(json), label_(label) {}

  Result<HfModel> Convert() {
    RETURN_IF_ERROR(ReadFamily());
    if (Has("quantization_config")) {
      return Refuse("quantization_config", "weights that are quantized cannot be converted");
    }
    AddString("general.architecture", model_.architecture);
    RETURN_IF_ERROR(ReadSizes());
    RETURN_IF_ERROR(ReadRope());
    RETURN_IF_ERROR(ReadAttention());
    RETURN_IF_ERROR(CheckActivation());
    model_.tied = IsTrue("tie_word_embeddings", model_.is_gemma());
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
    family_ = *family;
    model_.architecture = family->architecture;
    model_.kind = *std::ranges::find(Architectures(), model_.architecture, &Architecture::name);
    return {};
  }

  Status ReadSizes() {
    ASSIGN_OR_RETURN(d_model_, Count("hidden_size"));
    ASSIGN_OR_RETURN(const int64_t d_ff, Count("intermediate_size"));
    ASSIGN_OR_RETURN(const int64_t context, Count("max_position_embeddings"));
    ASSIGN_OR_RETURN(const int64_t n_vocab, Count("vocab_size"));
    ASSIGN_OR_RETURN(const double eps, Number(json_, "rms_norm_eps", 1e-6));
    ASSIGN_OR_RETURN(model_.n_layers, Count("num_hidden_layers"));
    ASSIGN_OR_RETURN(model_.n_heads, Count("num_attention_heads"));
    ASSIGN_OR_RETURN(model_.n_kv_heads, Count("num_key_value_heads", model_.n_heads));
    const int64_t usual_dim =
        family_.head_dim > 0 ? family_.head_dim : std::max<int64_t>(1, d_model_ / model_.n_heads);
    ASSIGN_OR_RETURN(model_.head_dim, Count("head_dim", usual_dim));
    if (model_.head_dim % 2 != 0) {
      return MakeError(ErrorCode::kBadData,
                       "{}: heads of {} dimensions, an even number is expected", label_,
                       model_.head_dim);
    }
    AddUint("context_length", context);
    AddUint("embedding_length", d_model_);
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

  // Older files have rope_theta and rope_scaling side by side, newer ones rope_parameters, of
  // gemma3 for both kinds of layers.
  Status ReadRope() {
    const bool newer = Has("rope_parameters");
    HfJson scaling = newer                 ? json_["rope_parameters"]
                     : Has("rope_scaling") ? json_["rope_scaling"]
                                           : HfJson::object();
    HfJson local = json_;
    const char* local_key = "rope_local_base_freq";
    if (newer && scaling.is_object() && scaling.contains("full_attention")) {
      local = scaling.value("sliding_attention", HfJson());
      local_key = "rope_theta";
      scaling = HfJson(scaling["full_attention"]);
    }
    if (!scaling.is_object() || !local.is_object()) {
      return Refuse(newer ? "rope_parameters" : "rope_scaling", "an object is expected");
    }
    ASSIGN_OR_RETURN(const double rotated, Number(json_, "partial_rotary_factor", 1));
    if (rotated != 1) return Refuse("partial_rotary_factor", "only 1 is supported");
    ASSIGN_OR_RETURN(const double base,
                     Number(newer ? scaling : json_, "rope_theta",
                            newer ? std::nullopt : std::optional(family_.rope_base)));
    AddUint("rope.dimension_count", model_.head_dim);
    AddFloat("rope.freq_base", base);
    if (const double usual = model_.kind.local_rope_base; usual > 0) {
      ASSIGN_OR_RETURN(const double found, Number(local, local_key, usual));
      AddFloat("rope.freq_base_swa", found);
    }
    return ReadRopeScaling(scaling, base);
  }

  Status ReadRopeScaling(const HfJson& scaling, double base) {
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
    const Architecture& kind = model_.kind;
    const bool window = Has("sliding_window") && IsTrue("use_sliding_window", family_.has_window);
    if (window) {
      if (kind.full_attention_every == 1) {
        return Refuse("use_sliding_window", "is not supported for " + model_.architecture);
      }
      ASSIGN_OR_RETURN(const int64_t size, Count("sliding_window"));
      AddUint("attention.sliding_window", size);
    } else if (model_.is_gemma()) {
      return Refuse("sliding_window", "is missing");
    }
    RETURN_IF_ERROR(CheckLayerTypes(window ? kind.full_attention_every : 1));
    RETURN_IF_ERROR(ReadSoftCaps(kind.soft_caps));
    if (!model_.is_gemma()) return {};
    // What scores are scaled by follows from the sizes: nothing else can be said in a GGUF.
    const double scaled_by = static_cast<double>(model_.n_layers == kind.layers_scaled_by_model
                                                     ? d_model_ / model_.n_heads
                                                     : model_.head_dim);
    ASSIGN_OR_RETURN(const double found, Number(json_, "query_pre_attn_scalar", scaled_by));
    if (found == scaled_by) return {};
    return Refuse("query_pre_attn_scalar", fmt::format("{:g} is not supported for these sizes "
                                                       "(only {:g} is)",
                                                       found, scaled_by));
  }

  // Which layers see all positions, one in `full_every`, is said by the architecture alone.
  Status CheckLayerTypes(int64_t full_every) const {
    ASSIGN_OR_RETURN(const int64_t pattern, Count("sliding_window_pattern", full_every));
    if (pattern != full_every) {
      return Refuse("sliding_window_pattern",
                    fmt::format("{} is not supported (only {} is)", pattern, full_every));
    }
    if (!Has("layer_types")) return {};
    const HfJson& types = json_["layer_types"];
    bool usual = types.is_array() && types.size() == static_cast<size_t>(model_.n_layers);
    for (int64_t i = 0; usual && i < model_.n_layers; ++i) {
      const bool full = full_every > 0 && (i + 1) % full_every == 0;
      usual = types[static_cast<size_t>(i)] == (full ? "full_attention" : "sliding_attention");
    }
    if (usual) return {};
    return Refuse("layer_types", "not those of " + model_.architecture);
  }

  Status ReadSoftCaps(bool wanted) {
    for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
      if (wanted) {
        ASSIGN_OR_RETURN(const double cap, Number(json_, key));
        AddFloat(key, cap);
      } else if (Has(key)) {
        return Refuse(key, "is not supported for " + model_.architecture);
      }
    }
    return {};
  }

  Status CheckActivation() const {
    std::string found = TextOf(json_, "hidden_activation");
    if (found.empty()) found = TextOf(json_, "hidden_act");
    const std::string_view wanted = model_.is_gemma() ? "gelu_pytorch_tanh" : "silu";
    if (found.empty() || found == wanted) return {};
    return Refuse("hidden_act",
                  fmt::format("{} is not supported (only {} is)", Quoted(found), wanted));
  }

  const HfJson& json_;
  const std::string& label_;
  Family family_ = kFamilies[0];
  int64_t d_model_ = 0;
  HfModel model_;
};

}  // namespace

Result<HfModel> ReadHfConfig(std::string_view json, const std::string& label) {
  const HfJson parsed = HfJson::parse(json, nullptr, false);
  if (!parsed.is_object()) return MakeError(ErrorCode::kBadData, "{}: no JSON object", label);
  return ConfigConverter(parsed, label).Convert();
}

}  // namespace llmrun
