// The arithmetic of a transformer layer, once per instruction set, chosen at run time.
//
// Every function computes on the calling thread, allocates nothing and keeps no state; callers
// split the work (rows, tokens, heads) over threads as they like. Results do not depend on how it
// is split: one row times one token gives the same bits in any row range, beside any number of
// tokens, and on every instruction set.
//
// Weights are read in place, at any alignment and never past their last byte, so that they may
// live in a mapped file. Float arrays have their natural alignment only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "memory/dtype.h"

namespace llmrun {

enum class IsaLevel : uint8_t {
  kPortable,    // any x86-64 (or other) processor
  kAvx2,        // AVX2 + FMA + F16C
  kAvxVnni,     // AVX-VNNI, and what kAvx2 needs
  kAvx512,      // AVX-512 F/BW/DQ/VL + VNNI, and what kAvx2 needs
  kAvx512Bf16,  // AVX-512 BF16, and what kAvx512 needs
  // Never chosen unasked:
  kAmx,          // AMX for int8, and what kAvx512Bf16 needs; asks the kernel for permission
  kAmxEmulated,  // the same without the tile unit, slowly: for tests
};

std::string_view NameOf(IsaLevel level);  // "portable", "avx2", ...

// All of them, whatever this machine has; the last that it has is chosen.
std::span<const IsaLevel> AllIsaLevels();

// The level to run with: the best of this machine when `override` (the value of LLM_RUN_ISA) is
// empty, else the named one. kUsage for an unknown name, kUnavailable when the processor or the
// operating system lacks it.
Result<IsaLevel> ChooseIsa(std::string_view override);

// Activations as int8, one scale per 32 values. The same bytes on every level.
inline constexpr int64_t kQuantBlock = 32;
inline constexpr int64_t kSumBlock = 16;

struct QuantizedRows {
  const int8_t* q = nullptr;      // [n_tokens][n_cols], in -127..127
  const float* scale = nullptr;   // [n_tokens][n_cols / kQuantBlock]; value = q * scale
  const int16_t* sums = nullptr;  // [n_tokens][n_cols / kSumBlock], sums of q
  // Of one token what make_tables gave for q: packed rows of types that CanLookUp() are looked up
  // in them instead of multiplied, with the same bits. Null: none.
  const int8_t* tables = nullptr;
};
// What make_tables writes for one token: tables, then sums of 16 columns.
inline constexpr int64_t kTableBytesPerColumn = 16;
constexpr int64_t TableBytes(int64_t n_cols) {
  return n_cols * kTableBytesPerColumn + n_cols / kSumBlock * 2;
}

// out[t * out_stride + r] = dot(row r, token t) for r in [row_begin, row_end), t in [0, n_tokens).
struct MatmulArgs {
  DType dtype = DType::kF32;
  const std::byte* weights = nullptr;  // row 0
  uint64_t row_bytes = 0;              // from one row to the next
  int64_t packed_rows = 0;             // the first of them lie in panels (compute/packing.h)
  int64_t n_cols = 0;
  int64_t row_begin = 0;
  int64_t row_end = 0;
  int64_t n_tokens = 0;
  const float* x = nullptr;  // [n_tokens][n_cols], read unless UsesQuantizedActivations(dtype);
                             // rounded to BF16 beside weights of that type
  QuantizedRows xq;          // read if UsesQuantizedActivations(dtype)
  float* out = nullptr;
  int64_t out_stride = 0;  // floats from one token to the next
  float tensor_scale = 1;  // of I2_S, whose rows have none
};

// Keys or values of one head of a cache, KvRowBytes() a position. Values lie position by position,
// their elements padded to a multiple of kKvGroup. Keys lie in groups of kKvGroup positions, which
// are there as a whole, element by element: [position / 16][element][16]; where elements come in
// blocks of one scale, the 16 scales of a block lie before its bytes, [scale, bytes...][16].
struct KvRows {
  const std::byte* data = nullptr;  // of position 0
  DType type = DType::kF16;
};
inline constexpr int64_t kKvGroup = 16;
uint64_t KvRowBytes(DType type, int64_t head_dim);
// F32, F16, BF16; Q8_0, Q4_0 where head_dim is a multiple of 32.
bool IsKvType(DType type);

// Attention of several query heads, for several tokens, over one head of keys and values:
// w = softmax(scale * q . keys[p]) over the positions p that the token sees, out = sum of
// w[p] * values[p]. Keys and values count as the floats they stand for: the bits are those of an
// F32 cache of these floats. Positions are worked on in chunks of kAttentionChunk.
struct AttentionArgs {
  const float* q = nullptr;  // [n_tokens][n_heads][head_dim]
  int64_t q_stride = 0;      // floats from token to token
  int64_t n_tokens = 0;
  int64_t n_heads = 0;
  int64_t head_dim = 0;   // of queries and keys
  int64_t value_dim = 0;  // of values
  int64_t n_pos = 0;      // that the first token sees, at least 1; each later one sees one more
  int64_t window = 0;     // but only the last so many of them; 0: all
  KvRows keys;            // as store_key left them
  KvRows values;          // as store_value left them
  float scale = 1;        // above 0
  float soft_cap = 0;     // scale * q . k becomes cap * tanh(that / cap); 0: as it is
  // [n_heads] of each head a further score, whose value is zero (attention sinks); null: none.
  const float* sinks = nullptr;
  float* scratch = nullptr;  // [AttentionScratchFloats(head_dim, value_dim)]
  float* out = nullptr;      // [n_tokens][n_heads][value_dim]
  int64_t out_stride = 0;    // floats from token to token
};
inline constexpr int64_t kAttentionChunk = 256;
inline constexpr int64_t kAttentionRows = 32;  // pairs of token and head that read them together
int64_t AttentionScratchFloats(int64_t head_dim, int64_t value_dim);
// What a chunk is for one head, in `sums` of attend_chunk and merge_chunks.
int64_t AttentionSumsFloats(int64_t value_dim);

struct Kernels {
  IsaLevel isa;
  // x [n_tokens][n_cols] into the arrays of QuantizedRows. Per block: scale = amax / 127, q =
  // x / scale rounded to nearest, ties to even. A block of zeros has scale 0. A block with a NaN or
  // an infinity has scale NaN and q 0. Requires: n_cols % kQuantBlock == 0.
  void (*quantize_rows)(const float* x, int64_t n_tokens, int64_t n_cols, int8_t* q, float* scale,
                        int16_t* sums);
  // tables: [TableBytes(n_cols)] for QuantizedRows::tables, of one token. Requires: n_cols %
  // kQuantBlock == 0.
  void (*make_tables)(const int8_t* q, int64_t n_cols, int8_t* tables);
  // False, with nothing written, when it declines: a type without kernel or n_cols not a multiple
  // of MatmulColumns(dtype).
  bool (*matmul)(const MatmulArgs& args);
  // out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps). out may be x.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* out);
  // out[i] = (x[i] - m) * weight[i] / sqrt(mean((x - m)^2) + eps) + bias[i], m = mean(x). out may
  // be x.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                     float* out);
  // gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i].
  void (*silu_mul)(float* gate, const float* up, int64_t n);
  // gate[i] = max(gate[i], 0)^2 * up[i].
  void (*relu2_mul)(float* gate, const float* up, int64_t n);
  // gate[i] = gate[i] / 2 * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 g^3))) * up[i], g = gate[i]
  // (Hendrycks & Gimpel 2016, the approximation).
  void (*gelu_mul)(float* gate, const float* up, int64_t n);
  // gate[i] = g / (1 + exp(-1.702 g)) * (u + 1), g = min(gate[i], 7), u = up[i] in -7..7 (OpenAI
  // 2025, gpt-oss).
  void (*clamped_swiglu)(float* gate, const float* up, int64_t n);
  void (*soft_cap)(float* x, float cap, int64_t n);  // x = cap * tanh(x / cap); cap > 0
  void (*add)(float* x, const float* y, int64_t n);  // x += y
  void (*add_scaled)(float* x, const float* y, float scale,
                     int64_t n);  // x += scale * y, not fused
  // Rotates n_rot (even) elements by the angles given as cos and sin [n_rot / 2]: pairs are
  // (2i, 2i + 1) when interleaved, else (i, i + n_rot / 2).
  void (*rope)(float* head, const float* cos, const float* sin, int64_t n_rot, bool interleaved);
  void (*attention)(const AttentionArgs& args);
  // The same in two steps, for one token, with the same bits: each chunk of the positions that it
  // sees (of others it does nothing), in any order; then all of them together. sums:
  // [chunks][n_heads][AttentionSumsFloats()]; the second step overwrites them, and needs no
  // scratch.
  void (*attend_chunk)(const AttentionArgs& args, int64_t chunk, float* sums);
  void (*merge_chunks)(const AttentionArgs& args, float* sums);
  // Stores the key, or the value, of one position, rounded to nearest, ties to even, to where
  // KvRows says. `data` is that of position 0.
  void (*store_key)(const float* x, int64_t head_dim, DType type, std::byte* data,
                    int64_t position);
  void (*store_value)(const float* x, int64_t head_dim, DType type, std::byte* data,
                      int64_t position);
  // The most that the instruction set can do, to compare matmul with: `rounds` rounds of
  // independent multiply-adds on registers. How many multiply-adds that were, the same for each
  // round. Requires: 0 <= rounds < 2^28.
  int64_t (*peak_int8)(int64_t rounds);  // of types that use quantized activations
  int64_t (*peak_f32)(int64_t rounds);   // of F32 and F16
  int64_t (*peak_bf16)(int64_t rounds);  // of BF16
};

// Requires: a level that ChooseIsa returned.
const Kernels& KernelsFor(IsaLevel level);

// Whether matmul knows the type: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K,
// Q5_K, Q6_K, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, I2_S, IQ2_BN.
bool HasMatmul(DType type);
// What n_cols must be a multiple of: the type's block; of I2_S and IQ2_BN 256. Requires:
// HasMatmul(type).
int64_t MatmulColumns(DType type);
// Whether it takes its activations from MatmulArgs::xq rather than x. Requires: HasMatmul(type).
bool UsesQuantizedActivations(DType type);
// Whether packed rows can be looked up in tables: types of two bits a weight (TQ2_0, I2_S, IQ2_BN,
// Q2_K).
bool CanLookUp(DType type);

}  // namespace llmrun
