// Products of quantized weights with few tokens, for AVX2.
#include "compute/kernels/generic/few_tokens.h"

#include "compute/kernels/avx2/isa.h"

namespace llmrun::avx2 {

void Isa::FewTokens(const MatmulArgs& args) { generic::FewTokens<Isa>(args); }

}  // namespace llmrun::avx2
