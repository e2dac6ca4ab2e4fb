// What lies between the matrix products: see compute/kernels.h for each one's meaning.
#pragma once

#include <cstddef>

#include "compute/kernels.h"
#include "compute/kernels/generic/partial.h"
#include "compute/kernels/generic/vector_math.h"

namespace llmrun::generic {

template <class Isa>
void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  using F = typename Isa::F;
  F squares = Isa::Zero();
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    const F v = lanes == kLanes ? Isa::Load(x + i) : LoadPart<Isa>(x + i, lanes, 0.0F);
    squares = Isa::Fma(v, v, squares);
  });
  const float mean = Isa::ReduceAdd(squares) / static_cast<float>(n);
  const float factor = 1.0F / __builtin_sqrtf(mean + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * weight[i];
}

template <class Isa>
void LayerNorm(const float* x, const float* weight, const float* bias, int64_t n, float eps,
               float* out) {
  using F = typename Isa::F;
  const auto load = [x](int64_t i, int lanes, float fill) {
    return lanes == kLanes ? Isa::Load(x + i) : LoadPart<Isa>(x + i, lanes, fill);
  };
  F sum = Isa::Zero();
  ForLanes<Isa>(n, [&](int64_t i, int lanes) { sum = Isa::Add(sum, load(i, lanes, 0.0F)); });
  const float mean = Isa::ReduceAdd(sum) / static_cast<float>(n);
  F squares = Isa::Zero();
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    const F v = Isa::Sub(load(i, lanes, mean), Isa::Set(mean));
    squares = Isa::Fma(v, v, squares);
  });
  const float variance = Isa::ReduceAdd(squares) / static_cast<float>(n);
  const float factor = 1.0F / __builtin_sqrtf(variance + eps);
  for (int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

// gate = activate(gate) * prepare(up).
template <class Isa, class Function, class Prepare>
void ActivateAndMul(float* gate, const float* up, int64_t n, Function activate, Prepare prepare) {
  using F = typename Isa::F;
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    const bool full = lanes == kLanes;
    const F g = full ? Isa::Load(gate + i) : LoadPart<Isa>(gate + i, lanes, 0.0F);
    const F u = full ? Isa::Load(up + i) : LoadPart<Isa>(up + i, lanes, 0.0F);
    const F result = Isa::Mul(activate(g), prepare(u));
    full ? Isa::Store(gate + i, result) : StorePart<Isa>(gate + i, result, lanes);
  });
}

template <class Isa, class Function>
void ActivateAndMul(float* gate, const float* up, int64_t n, Function activate) {
  ActivateAndMul<Isa>(gate, up, n, activate, [](typename Isa::F u) { return u; });
}

template <class Isa>
void SiluMul(float* gate, const float* up, int64_t n) {
  using F = typename Isa::F;
  ActivateAndMul<Isa>(gate, up, n, [](F g) {
    const F one = Isa::Set(1.0F);
    const F sigmoid = Isa::Div(one, Isa::Add(one, Exp<Isa>(Isa::Sub(Isa::Zero(), g))));
    return Isa::Mul(g, sigmoid);
  });
}

// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
template <class Isa>
void GeluMul(float* gate, const float* up, int64_t n) {
  using F = typename Isa::F;
  ActivateAndMul<Isa>(gate, up, n, [](F g) {
    const F one = Isa::Set(1.0F);
    const F slope = Isa::Fma(Isa::Mul(g, g), Isa::Set(-0x1.2444f2p-4F), Isa::Set(-0x1.988454p+0F));
    const F sigmoid = Isa::Div(one, Isa::Add(one, Exp<Isa>(Isa::Mul(g, slope))));
    return Isa::Mul(g, sigmoid);
  });
}

template <class Isa>
void ClampedSwiglu(float* gate, const float* up, int64_t n) {
  using F = typename Isa::F;
  constexpr float kLimit = 7.0F;
  const auto activate = [](F g) {
    g = Isa::Min(Isa::Set(kLimit), g);  // NaN stays
    const F one = Isa::Set(1.0F);
    return Isa::Div(g, Isa::Add(one, Exp<Isa>(Isa::Mul(g, Isa::Set(-1.702F)))));
  };
  ActivateAndMul<Isa>(gate, up, n, activate, [](F u) {
    u = Isa::Max(Isa::Set(-kLimit), Isa::Min(Isa::Set(kLimit), u));
    return Isa::Add(u, Isa::Set(1.0F));
  });
}

template <class Isa>
void Relu2Mul(float* gate, const float* up, int64_t n) {
  using F = typename Isa::F;
  ActivateAndMul<Isa>(gate, up, n, [](F g) {
    const F positive = Isa::Max(Isa::Zero(), g);  // NaN stays
    return Isa::Mul(positive, positive);
  });
}

template <class Isa>
void SoftCap(float* x, float cap, int64_t n) {
  ForLanes<Isa>(n, [&](int64_t i, int lanes) {
    if (lanes == kLanes) {
      Isa::Store(x + i, Capped<Isa>(Isa::Load(x + i), cap));
    } else {
      StorePart<Isa>(x + i, Capped<Isa>(LoadPart<Isa>(x + i, lanes, 0.0F), cap), lanes);
    }
  });
}

template <class Isa>
void Add(float* x, const float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += y[i];
}

template <class Isa>
void AddScaled(float* x, const float* y, float scale, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] += scale * y[i];
}

template <class Isa>
void Rope(float* head, const float* cos, const float* sin, int64_t n_rot, bool interleaved) {
  const int64_t pairs = n_rot / 2;
  const int64_t step = interleaved ? 2 : 1;       // from one pair to the next
  const int64_t apart = interleaved ? 1 : pairs;  // inside a pair
  for (int64_t i = 0; i < pairs; ++i) {
    float* pair = head + i * step;
    const float a = pair[0];
    const float b = pair[apart];
    pair[0] = a * cos[i] - b * sin[i];
    pair[apart] = a * sin[i] + b * cos[i];
  }
}

}  // namespace llmrun::generic
