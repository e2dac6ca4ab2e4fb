// How each quantized type lies in memory (ggml's block layouts). `in` is where a block's bytes come
// from (generic/pieces.h); a format gives the weights of 16 columns at a time, in any order, as
// bytes: emit(columns / 16, weights + kOffset), which are 0..kMost.
//
// Types of blocks (kSuper false) have a Scale, and some a Min, which is added to a weight times its
// scale. Types of superblocks have them for 256 columns; besides, some (kHasSubs) have integers to
// multiply them with for every kSubCols: Subs, four of a superblock in each Ints.
#pragma once

#include "compute/kernels/generic/format_blocks.h"
#include "compute/kernels/generic/format_super.h"
#include "compute/kernels/generic/format_super16.h"
#include "compute/kernels/generic/format_ternary.h"
