// Products of quantized weights with few tokens, for AVX-512.
#include "compute/kernels/generic/few_tokens.h"

#include "compute/kernels/avx512/isa.h"

namespace llmrun::avx512 {

void Isa::FewTokens(const MatmulArgs& args) { generic::FewTokens<Isa>(args); }

}  // namespace llmrun::avx512
