// Which type each tensor of a model gets when it is quantized: one type for all matrices, or one of
// the mixtures that are known by names like Q4_K_M, which spend more bits on the tensors whose
// errors are felt most.
// Source: the mixtures of llama.cpp's llama-quantize (llama_tensor_get_type), so that files of one
// name are of one kind everywhere.
//
// Threads: pure functions. Failure: kUsage for names, and for tensors that are quantized already.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "loader/index/tensor_index.h"
#include "memory/dtype.h"

namespace llmrun {

enum class Mix : uint8_t {
  kOneType,
  kQ4_0,
  kQ5_0,
  kQ2_K,
  kQ2_K_S,
  kQ3_K_S,
  kQ3_K_M,
  kQ3_K_L,
  kQ4_K_S,
  kQ4_K_M,
  kQ5_K_S,
  kQ5_K_M,
  kIq4,
  kTernary,
};

struct QuantizeTarget {
  std::string_view name;  // "Q4_K_M"
  DType type;             // of most matrices
  Mix mix;
  uint32_t file_type;  // general.file_type
};

// All of them, in the order in which --help lists them.
std::vector<std::string_view> QuantizeTargetNames();
// By name, in any letter case, or by general.file_type as a number.
Result<QuantizeTarget> ParseQuantizeTarget(std::string_view text);

struct QuantizeOptions {
  QuantizeTarget target = {};
  bool pure = false;              // one type for all matrices
  bool leave_output = false;      // output.weight stays as it is
  bool allow_requantize = false;  // of tensors that are quantized already
  bool has_importance = false;
  std::optional<DType> output_type = {};     // of output.weight
  std::optional<DType> embedding_type = {};  // of token_embd.weight
};

struct TensorTarget {
  DType type;            // that it has already: it is copied
  std::string fallback;  // a line, when the type that was meant does not fit its columns
};

// One a tensor of the index. Norms, biases, routers and the like stay as they are.
Result<std::vector<TensorTarget>> PlanQuantize(const TensorIndex& index,
                                               const QuantizeOptions& options);

}  // namespace llmrun
