#include "compute/quantize.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "compute/quantize/encoders.h"

namespace llmrun {

namespace quantize {

void BlockWeights(const float* values, const float* importance, int n, float* weights) {
  float squares = 0;
  for (int i = 0; i < n; ++i) squares += values[i] * values[i];
  const float mean = squares / static_cast<float>(n);
  // Columns that nothing came through weigh alike.
  const auto is_zero = [](float weight) { return weight == 0; };
  if (importance != nullptr && std::all_of(importance, importance + n, is_zero)) {
    importance = nullptr;
  }
  for (int i = 0; i < n; ++i) {
    const float weight = 1 + (mean > 0 ? values[i] * values[i] / mean : 0);
    weights[i] = importance != nullptr ? importance[i] * std::sqrt(weight) : weight;
  }
}

}  // namespace quantize

namespace {

using EncodeBlock = void (*)(const float* values, const float* importance, std::byte* block);

constexpr float kMostHalf = 65504;

struct Encoder {
  DType type;
  EncodeBlock encode;  // null: whole rows
  float most;          // the largest magnitude that the type can hold, or its scales with safety
};

constexpr Encoder kEncoders[] = {
    {DType::kF32, quantize::EncodeF32, INFINITY},
    {DType::kF16, quantize::EncodeF16, kMostHalf},
    {DType::kBF16, quantize::EncodeBf16, 0x1.FEp127F},
    {DType::kQ4_0, quantize::EncodeQ4_0, kMostHalf},
    {DType::kQ4_1, quantize::EncodeQ4_1, kMostHalf},
    {DType::kQ5_0, quantize::EncodeQ5_0, kMostHalf},
    {DType::kQ5_1, quantize::EncodeQ5_1, kMostHalf},
    {DType::kQ8_0, quantize::EncodeQ8_0, kMostHalf},
    {DType::kQ2_K, quantize::EncodeQ2_K, kMostHalf},
    {DType::kQ3_K, quantize::EncodeQ3_K, kMostHalf},
    {DType::kQ4_K, quantize::EncodeQ4_K, kMostHalf},
    {DType::kQ5_K, quantize::EncodeQ5_K, kMostHalf},
    {DType::kQ6_K, quantize::EncodeQ6_K, kMostHalf},
    {DType::kIQ4_NL, quantize::EncodeIq4Nl, kMostHalf},
    {DType::kIQ4_XS, quantize::EncodeIq4Xs, kMostHalf},
    {DType::kTQ1_0, quantize::EncodeTq1_0, kMostHalf},
    {DType::kTQ2_0, quantize::EncodeTq2_0, kMostHalf},
    {DType::kMXFP4, quantize::EncodeMxfp4, kMostHalf},
    {DType::kIQ2_BN, nullptr, kMostHalf},
    {DType::kI2_S, nullptr, kMostHalf},
};

const Encoder* FindEncoder(DType type) {
  const auto* it = std::ranges::find(kEncoders, type, &Encoder::type);
  return it == std::end(kEncoders) ? nullptr : it;
}

Status CheckValues(const Encoder& encoder, const float* values, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(values[i])) {
      return MakeError(ErrorCode::kBadData, "value {} is {}, and cannot be quantized", i,
                       values[i]);
    }
    if (std::fabs(values[i]) > encoder.most) {
      return MakeFixableError(ErrorCode::kBadData, "BF16 or F32 hold it",
                              "value {} is {}, too large for {}", i, values[i],
                              NameOf(encoder.type));
    }
  }
  return {};
}

}  // namespace

bool HasEncoder(DType type) { return FindEncoder(type) != nullptr; }

Status QuantizeRow(DType type, const float* values, int64_t n, const float* importance,
                   std::byte* out, float tensor_scale) {
  const Encoder* const encoder = FindEncoder(type);
  const BlockTraits& traits = TraitsOf(type);
  if (encoder == nullptr) {
    return MakeError(ErrorCode::kUnavailable, "values cannot be encoded as {}", traits.name);
  }
  const auto elems = static_cast<int64_t>(traits.block_elems);
  if (n < 0 || n % elems != 0) {
    return MakeError(ErrorCode::kBadData, "row length {} is not a multiple of the {} block of {}",
                     n, traits.name, elems);
  }
  RETURN_IF_ERROR(CheckValues(*encoder, values, n));
  if (type == DType::kIQ2_BN) {
    quantize::EncodeIq2Bn(values, importance, n, out);
  } else if (type == DType::kI2_S) {
    quantize::EncodeI2S(values, n, tensor_scale, out);
  } else {
    for (int64_t i = 0; i < n; i += elems, out += traits.block_bytes) {
      encoder->encode(values + i, importance != nullptr ? importance + i : nullptr, out);
    }
  }
  return {};
}

void TernaryMean::Add(const float* values, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float magnitude = std::fabs(values[i]);
    if (magnitude <= threshold_) continue;
    sum_ += magnitude;
    ++count_;
  }
}

void TernaryMean::Add(const TernaryMean& other) {
  sum_ += other.sum_;
  count_ += other.count_;
}

float TernaryMean::Mean() const {
  return count_ > 0 ? static_cast<float>(sum_ / static_cast<double>(count_)) : 0;
}

}  // namespace llmrun
