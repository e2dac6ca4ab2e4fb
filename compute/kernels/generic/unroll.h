// Tiles keep their accumulators in registers only if every loop over them is unrolled, which GCC
// does not do by itself at -O2. Clang builds the sanitizers, whose code has no registers to gain,
// and warns of loops that it does not unroll.
#pragma once

#ifdef __clang__
#define LLMRUN_UNROLL
#else
#define LLMRUN_UNROLL _Pragma("GCC unroll 16")
#endif
#define LLMRUN_INLINE [[gnu::always_inline]] inline
