// The intrinsics of AVX-512 (F, BW, DQ, VNNI, BF16) and AVX-VNNI that kernels use, by those of AVX2
// or lane by lane, so that kernels for processors which have them can be tested on any with AVX2
// (preset `emulated`). Included before everything else in their files; each function hides the one
// of <immintrin.h> with its name. What they do: Intel's intrinsics guide.
#pragma once

#include "tests/emulated/arithmetic.h"
#include "tests/emulated/bits.h"
#include "tests/emulated/constants.h"
#include "tests/emulated/moves.h"
