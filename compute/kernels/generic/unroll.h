// Tiles keep their accumulators in registers only if every loop over them is unrolled, which GCC
// does not do by itself at -O2.
#pragma once

#define LLMRUN_UNROLL _Pragma("GCC unroll 16")
#define LLMRUN_INLINE [[gnu::always_inline]] inline
