// How tensors are laid into images of their files: which rows go into which image, parts that
// follow each other made segments, segments placed block by block. Pure. Internal to this folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "loader/index/tensor_index.h"
#include "loader/plan/placement_plan.h"

namespace llmrun {

// Matrices are cut at multiples of this many rows: whole cache lines of a product, whole blocks of
// quantized activations. Experts (three dimensions) are cut between experts.
inline constexpr uint64_t kShardRows = 32;

// Fills `parts`, `tensors` and `segments` of the plan, whose arenas are the images, and returns the
// bytes of each. There are as many images as `shares`, which say in which proportion rows are dealt
// out; vectors, and matrices with fewer units than images, lie in the first.
// Requires: at least one share, none of them 0.
std::vector<uint64_t> LayOut(const TensorIndex& index, std::span<const uint32_t> shares,
                             PlacementPlan* plan);

}  // namespace llmrun
