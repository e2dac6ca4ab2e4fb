// One key or value into a cache: see KvRows in compute/kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels.h"
#include "compute/kernels/generic/kv_elements.h"

namespace llmrun::generic {

// Calls body(first, bytes) for each unit of a row: its first element, and the unit as the row has
// it. Elements behind the last are zeros.
template <class Isa, class Elements, class Body>
void EncodeRow(const float* x, int64_t head_dim, Body body) {
  constexpr int kUnit = Elements::kUnit;
  std::byte bytes[kUnit / Elements::kBlock * Elements::kBlockBytes];
  for (int64_t i = 0; i < head_dim; i += kUnit) {
    if (i + kUnit <= head_dim) {
      Elements::Encode(x + i, bytes);
    } else {
      float last[kUnit] = {};
      __builtin_memcpy(last, x + i, static_cast<size_t>(head_dim - i) * sizeof(float));
      Elements::Encode(last, bytes);
    }
    body(i, bytes);
  }
}

template <class Isa>
void StoreValue(const float* x, int64_t head_dim, DType type, std::byte* data, int64_t position) {
  WithKvType<Isa>(type, [&](auto elements) {
    using E = decltype(elements);
    std::byte* row = data + position * KvRowBytesOf<Isa, E>(head_dim);
    EncodeRow<Isa, E>(x, head_dim, [&](int64_t first, const auto& bytes) {
      __builtin_memcpy(row + first / E::kBlock * E::kBlockBytes, bytes, sizeof bytes);
    });
  });
}

// Pieces of kBytes of a row, from one of 16 to the next.
template <class Isa, int kBytes>
void Scatter(const std::byte* from, int64_t pieces, std::byte* to) {
  for (int64_t i = 0; i < pieces; ++i) {
    __builtin_memcpy(to + i * kLanes * kBytes, from + i * kBytes, kBytes);
  }
}

template <class Isa>
void StoreKey(const float* x, int64_t head_dim, DType type, std::byte* data, int64_t position) {
  WithKvType<Isa>(type, [&](auto elements) {
    using E = decltype(elements);
    const int64_t lane = position % kLanes;
    std::byte* group = data + (position - lane) * KvRowBytesOf<Isa, E>(head_dim);
    EncodeRow<Isa, E>(x, head_dim, [&](int64_t first, const auto& bytes) {
      std::byte* unit = group + first / E::kBlock * E::kBlockBytes * kLanes;
      if constexpr (E::kBlock == 1) {
        Scatter<Isa, E::kBlockBytes>(bytes, E::kUnit, unit + lane * E::kBlockBytes);
      } else {
        Scatter<Isa, 2>(bytes, 1, unit + lane * 2);
        Scatter<Isa, 1>(bytes + 2, E::kBlockBytes - 2, unit + 2 * kLanes + lane);
      }
    });
  });
}

}  // namespace llmrun::generic
