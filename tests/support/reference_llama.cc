#include "tests/support/reference_llama.h"

#include <algorithm>
#include <cmath>
#include <fstream>
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
  const std::set<std::string_view> interleaved = {"llama", "granite", "smollm3"};
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
  embedding_scale_ = float_or("embedding_scale", 1);
  if (architecture_.starts_with("gemma")) {
    embedding_scale_ = std::sqrt(static_cast<double>(uint_of("embedding_length")));
  }
  residual_scale_ = float_or("residual_scale", 1);
  attention_scale_ = float_or("attention.scale", 1 / std::sqrt(static_cast<double>(head_dim_)));
  rope_magnitude_ = float_or("rope.scaling.attn_factor", 1);
  logit_scale_ = float_or("logit_scale", 1);
  n_rot_ = metadata.GetUintOr(prefix + "rope.dimension_count", head_dim_).value();
  eps_ = metadata
             .GetFloat(prefix + (architecture_ == "stablelm" ? "attention.layer_norm_epsilon"
                                                             : "attention.layer_norm_rms_epsilon"))
             .value();
  rope_base_ = metadata.GetFloatOr(prefix + "rope.freq_base", 10000).value();
  rope_factor_ = metadata.GetFloatOr(prefix + "rope.scaling.factor", 1).value();
  window_ = metadata.GetUintOr(prefix + "attention.sliding_window", 0).value();
  attention_cap_ = metadata.GetFloatOr(prefix + "attn_logit_softcapping", 0).value();
  logit_cap_ = metadata.GetFloatOr(prefix + "final_logit_softcapping", 0).value();
  n_experts_ = metadata.GetUintOr(prefix + "expert_count", 0).value();
  n_experts_used_ = metadata.GetUintOr(prefix + "expert_used_count", 0).value();
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
  return window_ > 0;
}

// Turns every head of x as complex numbers of angle position * base^(-2i / n).
void ReferenceLlama::Rotate(Vector& x, size_t position, size_t layer) const {
  const bool differs = architecture_ == "gemma3" && IsLocal(layer);
  const double base = differs ? 10000 : rope_base_;
  const bool is_long = tensors_.contains("rope_factors_long.weight");
  const auto factors = tensors_.find(is_long ? "rope_factors_long.weight" : "rope_freqs.weight");
  for (size_t head = 0; head < x.size(); head += head_dim_) {
    for (size_t i = 0; i < n_rot_ / 2; ++i) {
      double angle = static_cast<double>(position);
      if (!options_.ignore_rope_scale && !differs) angle /= rope_factor_;
      angle /= std::pow(base, 2.0 * static_cast<double>(i) / static_cast<double>(n_rot_));
      if (factors != tensors_.end()) angle /= factors->second[i];
      double& real = x[head + (options_.rope_in_halves ? i : 2 * i)];
      double& imaginary = x[head + (options_.rope_in_halves ? i + n_rot_ / 2 : 2 * i + 1)];
      const double cos = rope_magnitude_ * std::cos(angle);
      const double sin = rope_magnitude_ * std::sin(angle);
      const double turned = real * cos - imaginary * sin;
      imaginary = real * sin + imaginary * cos;
      real = turned;
    }
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
  Vector out(q.size());
  for (size_t head = 0; head < n_heads_; ++head) {
    const size_t q_at = head * head_dim_;
    const size_t kv_at = head / (n_heads_ / n_kv_heads_) * head_dim_;
    Vector weight(keys.size());
    for (size_t p = 0; p < keys.size(); ++p) {
      for (size_t i = 0; i < head_dim_; ++i) weight[p] += q[q_at + i] * keys[p][kv_at + i];
      weight[p] *= attention_scale_;
      if (attention_cap_ > 0) weight[p] = attention_cap_ * std::tanh(weight[p] / attention_cap_);
    }
    const double largest = *std::ranges::max_element(weight);
    double sum = 0;
    for (double& value : weight) sum += value = std::exp(value - largest);
    for (size_t p = 0; p < keys.size(); ++p) {
      for (size_t i = 0; i < head_dim_; ++i) {
        out[q_at + i] += weight[p] / sum * values[p][kv_at + i];
      }
    }
  }
  return out;
}

ReferenceLlama::Vector ReferenceLlama::Activate(const Vector& gate, const Vector& up) const {
  Vector y(gate.size());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double g = gate[i];
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

ReferenceLlama::Vector ReferenceLlama::FeedForward(const std::string& prefix,
                                                   const Vector& x) const {
  Vector hidden =
      Activate(Multiply(prefix + "ffn_gate.weight", x), Multiply(prefix + "ffn_up.weight", x));
  hidden = Normalize(prefix + "ffn_sub_norm.weight", hidden);
  return Multiply(prefix + "ffn_down.weight", hidden);
}

ReferenceLlama::Vector ReferenceLlama::MultiplyExpert(const std::string& name, size_t expert,
                                                      const Vector& x) const {
  const Vector& w = Tensor(name);
  Vector y(w.size() / x.size() / n_experts_);
  for (size_t r = 0; r < y.size(); ++r) {
    const size_t row = (expert * y.size() + r) * x.size();
    for (size_t c = 0; c < x.size(); ++c) y[r] += w[row + c] * x[c];
  }
  return y;
}

ReferenceLlama::Vector ReferenceLlama::FeedExperts(const std::string& prefix,
                                                   const Vector& x) const {
  Vector weight = Multiply(prefix + "ffn_gate_inp.weight", x);
  for (double& value : weight) value = std::exp(value);
  std::vector<size_t> experts(n_experts_);
  std::iota(experts.begin(), experts.end(), size_t{0});
  std::ranges::stable_sort(experts, [&](size_t a, size_t b) { return weight[a] > weight[b]; });
  experts.resize(n_experts_used_);
  double sum = 0;
  for (const size_t expert : experts) sum += weight[expert];
  Vector y(x.size());
  for (const size_t expert : experts) {
    const Vector hidden = Activate(MultiplyExpert(prefix + "ffn_gate_exps.weight", expert, x),
                                   MultiplyExpert(prefix + "ffn_up_exps.weight", expert, x));
    const Vector out = MultiplyExpert(prefix + "ffn_down_exps.weight", expert, hidden);
    for (size_t i = 0; i < y.size(); ++i) y[i] += weight[expert] / sum * out[i];
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
    Vector q = project("attn_q");
    Vector k = project("attn_k");
    if (architecture_ != "smollm3" || layer % 4 != 3) {
      Rotate(q, position, layer);
      Rotate(k, position, layer);
    }
    past.keys[layer].push_back(k);
    past.values[layer].push_back(Multiply(prefix + "attn_v.weight", attn_in));
    Vector attended = Attend(q, layer, past);
    attended = Normalize(prefix + "attn_sub_norm.weight", attended);
    attended = Multiply(prefix + "attn_output.weight", attended);
    add(x, Normalize(prefix + "post_attention_norm.weight", attended));

    const Vector ffn_in = Normalize(prefix + "ffn_norm.weight", x);
    const Vector fed = n_experts_ > 0 ? FeedExperts(prefix, ffn_in) : FeedForward(prefix, ffn_in);
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
