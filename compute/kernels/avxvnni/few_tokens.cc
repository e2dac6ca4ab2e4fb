// Products of quantized weights with few tokens, for AVX-VNNI.
#include "compute/kernels/generic/few_tokens.h"

#include "compute/kernels/avxvnni/isa.h"

namespace llmrun::avxvnni {

void Isa::FewTokens(const MatmulArgs& args) { generic::FewTokens<Isa>(args); }

}  // namespace llmrun::avxvnni
