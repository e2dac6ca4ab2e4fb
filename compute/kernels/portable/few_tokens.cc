// Products of quantized weights with few tokens, for any machine.
#include "compute/kernels/generic/few_tokens.h"

#include "compute/kernels/portable/isa.h"

namespace llmrun::portable {

void Isa::FewTokens(const MatmulArgs& args) { generic::FewTokens<Isa>(args); }

}  // namespace llmrun::portable
