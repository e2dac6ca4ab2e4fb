#include "model/architecture.h"

namespace llmrun {

// Sources: Touvron et al. 2023 (LLaMA); Jiang et al. 2024 (Mixtral, which names itself llama); Ma
// et al. 2024 (BitNet b1.58), of which `bitnet` is the first kind of file and `bitnet-b1.58` the
// one of BitNet b1.58 2B4T (2025).
std::span<const Architecture> Architectures() {
  static constexpr Architecture kArchitectures[] = {
      {.name = "llama", .may_have_experts = true},
      {.name = "bitnet", .rope_interleaved = false, .sub_norms = true, .may_have_scales = true},
      {.name = "bitnet-b1.58",
       .rope_interleaved = false,
       .sub_norms = true,
       .activation = Activation::kSquaredRelu},
  };
  return kArchitectures;
}

}  // namespace llmrun
