#include "tests/support/reference_llama.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <numbers>
#include <numeric>
#include <set>

#include "base/check.h"
#include "compute/codec.h"

namespace llmrun {
namespace {

template <typename B>
double NmseOf(std::span<const float> a, std::span<const B> b) {
  CHECK(a.size() == b.size() && !a.empty());
  double error = 0;
  double power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double truth = static_cast<double>(b[i]);
    const double difference = static_cast<double>(a[i]) - truth;
    error += difference * difference;
    power += truth * truth;
  }
  return error / power;
}

}  // namespace

double Nmse(std::span<const float> a, std::span<const double> b) { return NmseOf(a, b); }
double Nmse(std::span<const float> a, std::span<const float> b) { return NmseOf(a, b); }

ReferenceLlama::ReferenceLlama(const TensorIndex& index, const ReferenceOptions& options)
    : options_(options) {
  const Metadata& metadata = index.metadata();
  architecture_ = metadata.GetString("general.architecture").value();
  const std::set<std::string_view> interleaved = {"llama", "granite", "smollm3", "deepseek2"};
  if (!interleaved.contains(architecture_)) options_.rope_in_halves = !options_.rope_in_halves;
  const std::string prefix = architecture_ + ".";
  const auto uint_of = [&](const char* key) { return metadata.GetUint(prefix + key).value(); };
  n_layers_ = uint_of("block_count");
  n_heads_ = uint_of("attention.head_count");
  n_kv_heads_ = metadata.GetUintOr(prefix + "attention.head_count_kv", n_heads_).value();
  head_dim_ =
      metadata.GetUintOr(prefix + "attention.key_length", uint_of("embedding_length") / n_heads_)
          .value();
  const auto float_or = [&](const char* key, double absent) {
    return metadata.GetFloatOr(prefix + key, absent).value();
  };
  value_dim_ = metadata.GetUintOr(prefix + "attention.value_length", head_dim_).value();
  kv_rank_ = metadata.GetUintOr(prefix + "attention.kv_lora_rank", 0).value();
  if (metadata.Find(prefix + "attention.key_length_mla") != nullptr) {
    head_dim_ = uint_of("attention.key_length_mla");
    value_dim_ = uint_of("attention.value_length_mla");
    n_kv_heads_ = n_heads_;
  }
  embedding_scale_ = float_or("embedding_scale", 1);
  if (architecture_.starts_with("gemma")) {
    embedding_scale_ = std::sqrt(static_cast<double>(uint_of("embedding_length")));
  }
  residual_scale_ = float_or("residual_scale", 1);
  attention_scale_ = float_or("attention.scale", 1 / std::sqrt(static_cast<double>(head_dim_)));
  logit_scale_ = float_or("logit_scale", 1);
  n_rot_ = metadata.GetUintOr(prefix + "rope.dimension_count", head_dim_).value();
  eps_ = metadata
             .GetFloat(prefix + (architecture_ == "stablelm" ? "attention.layer_norm_epsilon"
                                                             : "attention.layer_norm_rms_epsilon"))
             .value();
  rope_base_ = metadata.GetFloatOr(prefix + "rope.freq_base", 10000).value();
  rope_factor_ = metadata.GetFloatOr(prefix + "rope.scaling.factor", 1).value();
  rope_magnitude_ = float_or("rope.scaling.attn_factor", 1);
  yarn_ = metadata.Find(prefix + "rope.scaling.type") != nullptr &&
          metadata.GetString(prefix + "rope.scaling.type").value() == "yarn";
  if (yarn_ && !options_.ignore_rope_scale) {
    original_context_ = static_cast<double>(uint_of("rope.scaling.original_context_length"));
    const double longer = float_or("rope.scaling.yarn_log_multiplier", 0) * std::log(rope_factor_);
    attention_scale_ *= (1 + longer) * (1 + longer);
    if (kv_rank_ == 0) rope_magnitude_ *= 0.1 * std::log(rope_factor_) + 1;
  }
  window_ = metadata.GetUintOr(prefix + "attention.sliding_window", 0).value();
  attention_cap_ = metadata.GetFloatOr(prefix + "attn_logit_softcapping", 0).value();
  logit_cap_ = metadata.GetFloatOr(prefix + "final_logit_softcapping", 0).value();
  n_experts_ = metadata.GetUintOr(prefix + "expert_count", 0).value();
  n_experts_used_ = metadata.GetUintOr(prefix + "expert_used_count", 0).value();
  n_groups_ = metadata.GetUintOr(prefix + "expert_group_count", 1).value();
  n_groups_used_ = metadata.GetUintOr(prefix + "expert_group_used_count", n_groups_).value();
  sigmoid_router_ = metadata.GetUintOr(prefix + "expert_gating_func", 1).value() == 2;
  renormalizes_ =
      metadata.GetBoolOr(prefix + "expert_weights_norm", architecture_ != "deepseek2").value();
  expert_scale_ = float_or("expert_weights_scale", 1);
  ReadTensors(index);
}

void ReferenceLlama::ReadTensors(const TensorIndex& index) {
  for (const IndexedTensor& tensor : index.tensors()) {
    std::ifstream file(index.files()[tensor.extent.file].label, std::ios::binary);
    std::vector<std::byte> bytes(tensor.extent.bytes);
    file.seekg(static_cast<std::streamoff>(tensor.extent.offset));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    CHECK(file.good());
    const size_t cols = tensor.dims[0];
    const size_t rows = tensor.dims[1] * tensor.dims[2];
    std::vector<float> row(cols);
    Vector& values = tensors_[tensor.name];
    for (size_t r = 0; r < rows; ++r) {
      const std::byte* at = bytes.data() + r * RowBytes(tensor.dtype, cols);
      CHECK(DequantizeRow(tensor.dtype, at, static_cast<int64_t>(cols), row.data()).has_value());
      values.insert(values.end(), row.begin(), row.end());
    }
    if (tensor.name == "token_embd.weight") n_vocab_ = rows;
  }
  for (size_t layer = 0; architecture_ == "gpt-oss" && layer < n_layers_; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    auto named = tensors_.extract(prefix + "post_attention_norm.weight");
    named.key() = prefix + "ffn_norm.weight";  // which it is
    tensors_.insert(std::move(named));
  }
  for (size_t layer = 0; kv_rank_ > 0 && layer < n_layers_; ++layer) {
    JoinLatentMatrices("blk." + std::to_string(layer) + ".");
  }
  for (size_t layer = 0; architecture_ == "phi3" && layer < n_layers_; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const size_t d_ff = Tensor(prefix + "ffn_up.weight").size() / 2;
    const size_t d_model = Tensor(prefix + "attn_norm.weight").size();
    const size_t q = n_heads_ * head_dim_ * d_model;
    const size_t kv = n_kv_heads_ * head_dim_ * d_model;
    SplitTensor(prefix + "attn_qkv.weight",
                {prefix + "attn_q.weight", prefix + "attn_k.weight", prefix + "attn_v.weight"},
                {q, kv, kv});
    SplitTensor(prefix + "ffn_up.weight", {prefix + "ffn_gate.weight", prefix + "ffn_up.weight"},
                {d_ff, d_ff});
  }
}

// attn_kv_b from attn_k_b, of which a head's rows are columns there, and attn_v_b.
void ReferenceLlama::JoinLatentMatrices(const std::string& prefix) {
  if (tensors_.contains(prefix + "attn_kv_b.weight")) return;
  const Vector& k = Tensor(prefix + "attn_k_b.weight");
  const Vector& v = Tensor(prefix + "attn_v_b.weight");
  Vector& both = tensors_[prefix + "attn_kv_b.weight"];
  const size_t unrotated = head_dim_ - n_rot_;
  for (size_t head = 0; head < n_heads_; ++head) {
    for (size_t r = 0; r < unrotated; ++r) {
      for (size_t c = 0; c < kv_rank_; ++c)
        both.push_back(k[(head * kv_rank_ + c) * unrotated + r]);
    }
    const auto begin = v.begin() + static_cast<std::ptrdiff_t>(head * value_dim_ * kv_rank_);
    both.insert(both.end(), begin, begin + static_cast<std::ptrdiff_t>(value_dim_ * kv_rank_));
  }
}

// Into parts of so many elements.
void ReferenceLlama::SplitTensor(const std::string& name, const std::vector<std::string>& parts,
                                 const std::vector<size_t>& sizes) {
  const Vector whole = Tensor(name);
  auto at = whole.begin();
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto end = at + static_cast<std::ptrdiff_t>(sizes[i]);
    tensors_[parts[i]] = Vector(at, end);
    at = end;
  }
}

const ReferenceLlama::Vector& ReferenceLlama::Tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  CHECK(found != tensors_.end());
  return found->second;
}

ReferenceLlama::Vector ReferenceLlama::Multiply(const std::string& name, const Vector& x) const {
  if (options_.on_product) options_.on_product(name, 0, x);
  const Vector& w = Tensor(name);
  Vector y(w.size() / x.size());
  const std::string part = name.substr(0, name.rfind('.'));
  const auto scale = tensors_.find(part + ".scale");
  const auto bias = tensors_.find(part + ".bias");
  for (size_t r = 0; r < y.size(); ++r) {
    for (size_t c = 0; c < x.size(); ++c) y[r] += w[r * x.size() + c] * x[c];
    if (scale != tensors_.end()) y[r] *= scale->second[0];
    if (bias != tensors_.end()) y[r] += bias->second[r];
  }
  return y;
}

// As many elements at a time as there are weights: a head of queries, say. Without weights it stays
// as it is.
ReferenceLlama::Vector ReferenceLlama::Normalize(const std::string& name, const Vector& x) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return x;
  const Vector& w = found->second;
  const auto n = static_cast<double>(w.size());
  const auto bias = tensors_.find(name.substr(0, name.rfind('.')) + ".bias");
  Vector y(x.size());
  for (size_t at = 0; at < x.size(); at += w.size()) {
    double mean = 0;  // of an RMSNorm 0
    for (size_t i = 0; i < w.size() && bias != tensors_.end(); ++i) mean += x[at + i] / n;
    double square = 0;
    for (size_t i = 0; i < w.size(); ++i) square += (x[at + i] - mean) * (x[at + i] - mean);
    const double root = std::sqrt(square / n + eps_);
    for (size_t i = 0; i < w.size(); ++i) y[at + i] = (x[at + i] - mean) / root * w[i];
    for (size_t i = 0; i < w.size() && bias != tensors_.end(); ++i) y[at + i] += bias->second[i];
  }
  return y;
}

bool ReferenceLlama::IsLocal(size_t layer) const {
  if (architecture_ == "gemma2") return layer % 2 == 0;
  if (architecture_ == "gemma3") return layer % 6 != 5;
  if (architecture_ == "gpt-oss") return layer % 2 == 0;
  return window_ > 0;
}

// base^(-2i / n), scaled.
double ReferenceLlama::RadiansOf(size_t pair, size_t layer) const {
  const bool differs = architecture_ == "gemma3" && IsLocal(layer);
  const double base = differs ? 10000 : rope_base_;
  const auto n = static_cast<double>(n_rot_);
  double angle = std::pow(base, -2.0 * static_cast<double>(pair) / n);
  const bool is_long = tensors_.contains("rope_factors_long.weight");
  const auto factors = tensors_.find(is_long ? "rope_factors_long.weight" : "rope_freqs.weight");
  if (factors != tensors_.end()) angle /= factors->second[pair];
  if (options_.ignore_rope_scale || differs) return angle;
  if (!yarn_) return angle / rope_factor_;
  // The pairs that turn 32 times, and once, within the original context.
  const auto turns = [&](double times) {
    return n / 2 * std::log(original_context_ / (times * 2 * std::numbers::pi)) / std::log(base);
  };
  const double fast = std::max(std::floor(turns(32)), 0.0);
  const double slow = std::min(std::ceil(turns(1)), n - 1);
  const double scaled = std::min(
      std::max((static_cast<double>(pair) - fast) / std::max(slow - fast, 0.001), 0.0), 1.0);
  return angle / rope_factor_ * scaled + angle * (1 - scaled);
}

// Turns every head of x, as complex numbers.
void ReferenceLlama::Rotate(Vector& x, size_t position, size_t layer) const {
  for (size_t head = 0; head < x.size(); head += head_dim_) {
    for (size_t i = 0; i < n_rot_ / 2; ++i) {
      const double angle = static_cast<double>(position) * RadiansOf(i, layer);
      const size_t at = kv_rank_ > 0 ? head + head_dim_ - n_rot_ : head;
      double& real = x[at + (options_.rope_in_halves ? i : 2 * i)];
      double& imaginary = x[at + (options_.rope_in_halves ? i + n_rot_ / 2 : 2 * i + 1)];
      const double cos = rope_magnitude_ * std::cos(angle);
      const double sin = rope_magnitude_ * std::sin(angle);
      const double turned = real * cos - imaginary * sin;
      imaginary = real * sin + imaginary * cos;
      real = turned;
    }
  }
}

void ReferenceLlama::MakeFromLatent(const std::string& prefix, const Vector& x, Vector* k,
                                    Vector* v) const {
  Vector latent = Multiply(prefix + "attn_kv_a_mqa.weight", x);
  const Vector shared(latent.begin() + static_cast<std::ptrdiff_t>(kv_rank_), latent.end());
  latent.resize(kv_rank_);
  const Vector both =
      Multiply(prefix + "attn_kv_b.weight", Normalize(prefix + "attn_kv_a_norm.weight", latent));
  const auto unrotated = static_cast<std::ptrdiff_t>(head_dim_ - n_rot_);
  const auto value_dim = static_cast<std::ptrdiff_t>(value_dim_);
  for (auto at = both.begin(); at != both.end(); at += unrotated + value_dim) {
    k->insert(k->end(), at, at + unrotated);
    k->insert(k->end(), shared.begin(), shared.end());
    v->insert(v->end(), at + unrotated, at + unrotated + value_dim);
  }
}

ReferenceLlama::Vector ReferenceLlama::Attend(const Vector& q, size_t layer,
                                              const Past& past) const {
  std::span<const Vector> keys = past.keys[layer];
  std::span<const Vector> values = past.values[layer];
  if (window_ > 0 && IsLocal(layer) && keys.size() > window_) {
    keys = keys.last(window_);
    values = values.last(window_);
  }
  const auto sinks = tensors_.find("blk." + std::to_string(layer) + ".attn_sinks.weight");
  Vector out(n_heads_ * value_dim_);
  for (size_t head = 0; head < n_heads_; ++head) {
    const size_t q_at = head * head_dim_;
    const size_t kv_head = head / (n_heads_ / n_kv_heads_);
    Vector weight(keys.size());
    for (size_t p = 0; p < keys.size(); ++p) {
      for (size_t i = 0; i < head_dim_; ++i)
        weight[p] += q[q_at + i] * keys[p][kv_head * head_dim_ + i];
      weight[p] *= attention_scale_;
      if (attention_cap_ > 0) weight[p] = attention_cap_ * std::tanh(weight[p] / attention_cap_);
    }
    const double largest = *std::ranges::max_element(weight);
    double sum = 0;
    if (sinks != tensors_.end() && !options_.ignore_sinks) {
      sum = std::exp(sinks->second[head] - largest);
    }
    for (double& value : weight) sum += value = std::exp(value - largest);
    for (size_t p = 0; p < keys.size(); ++p) {
      for (size_t i = 0; i < value_dim_; ++i) {
        out[head * value_dim_ + i] += weight[p] / sum * values[p][kv_head * value_dim_ + i];
      }
    }
  }
  return out;
}

ReferenceLlama::Vector ReferenceLlama::Activate(const Vector& gate, const Vector& up) const {
  Vector y(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double g = gate[i];
    if (architecture_ == "gpt-oss") {
      const double limited = std::min(g, 7.0);
      y[i] = limited / (1 + std::exp(-1.702 * limited)) * (std::clamp(up[i], -7.0, 7.0) + 1);
      continue;
    }
    double activated = g / (1 + std::exp(-g));
    if (architecture_ == "bitnet-b1.58") activated = g > 0 ? g * g : 0;
    if (architecture_.starts_with("gemma")) {
      const double root = std::sqrt(2 / std::numbers::pi);
      activated = g / 2 * (1 + std::tanh(root * (g + 0.044715 * g * g * g)));
    }
    y[i] = activated * up[i];
  }
  return y;
}

ReferenceLlama::Vector ReferenceLlama::FeedForward(const std::string& prefix, const Vector& x,
                                                   const std::string& kind) const {
  Vector hidden = Activate(Multiply(prefix + "ffn_gate" + kind + ".weight", x),
                           Multiply(prefix + "ffn_up" + kind + ".weight", x));
  hidden = Normalize(prefix + "ffn_sub_norm.weight", hidden);
  return Multiply(prefix + "ffn_down" + kind + ".weight", hidden);
}

ReferenceLlama::Vector ReferenceLlama::MultiplyExpert(const std::string& name, size_t expert,
                                                      const Vector& x) const {
  if (options_.on_product) options_.on_product(name, expert, x);
  const Vector& w = Tensor(name);
  const auto bias = tensors_.find(name.substr(0, name.rfind('.')) + ".bias");
  Vector y(w.size() / x.size() / n_experts_);
  for (size_t r = 0; r < y.size(); ++r) {
    const size_t row = (expert * y.size() + r) * x.size();
    for (size_t c = 0; c < x.size(); ++c) y[r] += w[row + c] * x[c];
    if (bias != tensors_.end()) y[r] += bias->second[expert * y.size() + r];
  }
  return y;
}

ReferenceLlama::Vector ReferenceLlama::Route(const std::string& prefix, const Vector& x) const {
  Vector score = Multiply(prefix + "ffn_gate_inp.weight", x);
  double sum = 0;
  for (double& value : score) {
    value = sigmoid_router_ ? 1 / (1 + std::exp(-value)) : std::exp(value);
    sum += value;
  }
  for (double& value : score) value /= sigmoid_router_ ? 1 : sum;
  Vector merit = score;
  const auto bias = tensors_.find(prefix + "exp_probs_b.bias");
  for (size_t e = 0; e < n_experts_ && bias != tensors_.end(); ++e) merit[e] += bias->second[e];
  const auto best_first = [](const Vector& values) {
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, [&](size_t a, size_t b) { return values[a] > values[b]; });
    return order;
  };
  // A group is worth its best, or its two best.
  const size_t size = n_experts_ / n_groups_;
  Vector group_merit;
  for (size_t g = 0; g < n_groups_; ++g) {
    Vector group(merit.begin() + static_cast<std::ptrdiff_t>(g * size),
                 merit.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::ranges::sort(group, std::greater());
    group_merit.push_back(group[0] + (bias != tensors_.end() && size > 1 ? group[1] : 0));
  }
  std::vector<size_t> groups = best_first(group_merit);
  groups.resize(n_groups_used_);
  std::vector<size_t> chosen = best_first(merit);
  std::erase_if(chosen,
                [&](size_t e) { return std::ranges::find(groups, e / size) == groups.end(); });
  chosen.resize(n_experts_used_);
  double chosen_sum = 0;
  for (const size_t e : chosen) chosen_sum += score[e];
  Vector weight(n_experts_);
  for (const size_t e : chosen) {
    weight[e] = score[e] / (renormalizes_ ? chosen_sum : 1) * expert_scale_;
  }
  return weight;
}

ReferenceLlama::Vector ReferenceLlama::FeedExperts(const std::string& prefix,
                                                   const Vector& x) const {
  const Vector weight = Route(prefix, x);
  const bool shared = tensors_.contains(prefix + "ffn_gate_shexp.weight");
  Vector y = shared ? FeedForward(prefix, x, "_shexp") : Vector(x.size());
  for (size_t expert = 0; expert < n_experts_; ++expert) {
    if (weight[expert] == 0) continue;
    const Vector hidden = Activate(MultiplyExpert(prefix + "ffn_gate_exps.weight", expert, x),
                                   MultiplyExpert(prefix + "ffn_up_exps.weight", expert, x));
    const Vector out = MultiplyExpert(prefix + "ffn_down_exps.weight", expert, hidden);
    for (size_t i = 0; i < y.size(); ++i) y[i] += weight[expert] * out[i];
  }
  return y;
}

ReferenceLlama::Vector ReferenceLlama::Evaluate(TokenId token, size_t position, Past& past) const {
  const auto add = [this](Vector& x, const Vector& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += residual_scale_ * y[i];
  };
  const Vector& embeddings = Tensor("token_embd.weight");
  const size_t d_model = embeddings.size() / n_vocab_;
  const auto row = embeddings.begin() +
                   static_cast<std::ptrdiff_t>(token) * static_cast<std::ptrdiff_t>(d_model);
  Vector x(row, row + static_cast<std::ptrdiff_t>(d_model));
  for (double& value : x) value *= embedding_scale_;
  for (size_t layer = 0; layer < n_layers_; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const Vector attn_in = Normalize(prefix + "attn_norm.weight", x);
    const auto project = [&](const std::string& part) {
      return Normalize(prefix + part + "_norm.weight",
                       Multiply(prefix + part + ".weight", attn_in));
    };
    Vector q;
    Vector k;
    Vector v;
    if (kv_rank_ == 0) {
      q = project("attn_q");
      k = project("attn_k");
      v = Multiply(prefix + "attn_v.weight", attn_in);
    } else {
      const bool made = tensors_.contains(prefix + "attn_q_a.weight");
      q = made ? Multiply(prefix + "attn_q_b.weight", project("attn_q_a")) : project("attn_q");
      MakeFromLatent(prefix, attn_in, &k, &v);
    }
    if (architecture_ != "smollm3" || layer % 4 != 3) {
      Rotate(q, position, layer);
      Rotate(k, position, layer);
    }
    past.keys[layer].push_back(k);
    past.values[layer].push_back(v);
    Vector attended = Attend(q, layer, past);
    attended = Normalize(prefix + "attn_sub_norm.weight", attended);
    attended = Multiply(prefix + "attn_output.weight", attended);
    add(x, Normalize(prefix + "post_attention_norm.weight", attended));

    const Vector ffn_in = Normalize(prefix + "ffn_norm.weight", x);
    const bool experts = tensors_.contains(prefix + "ffn_gate_inp.weight");
    const Vector fed = experts ? FeedExperts(prefix, ffn_in) : FeedForward(prefix, ffn_in);
    add(x, Normalize(prefix + "post_ffw_norm.weight", fed));
  }
  const bool tied = !tensors_.contains("output.weight");
  Vector logits =
      Multiply(tied ? "token_embd.weight" : "output.weight", Normalize("output_norm.weight", x));
  for (double& value : logits) {
    value /= logit_scale_;
    if (logit_cap_ > 0) value = logit_cap_ * std::tanh(value / logit_cap_);
  }
  return logits;
}

std::vector<double> ReferenceLlama::Logits(std::span<const TokenId> tokens) const {
  Past past;
  past.keys.resize(n_layers_);
  past.values.resize(n_layers_);
  std::vector<double> logits;
  for (size_t position = 0; position < tokens.size(); ++position) {
    const Vector row = Evaluate(tokens[position], position, past);
    logits.insert(logits.end(), row.begin(), row.end());
  }
  return logits;
}

}  // namespace llmrun
