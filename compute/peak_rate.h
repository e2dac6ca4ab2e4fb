// How many multiply-adds a second the working members of a pool make together, when nothing holds
// them up: the roof of what computes more than it reads.
// Threads: Single-thread, between two regions of the pool.
#pragma once

#include <array>
#include <cstdint>

#include "compute/kernels.h"
#include "sched/thread_pool.h"

namespace llmrun {

enum PeakOf : uint8_t { kPeakInt8, kPeakF32, kPeakBf16, kPeaks };
template <typename T>
using PerPeak = std::array<T, kPeaks>;
// What products of a type are made of. Requires: HasMatmul(type).
PeakOf PeakOfType(DType type);

// Of the best of many rounds that take `seconds` together.
double MeasurePeakRate(ThreadPool& pool, const Kernels& kernels, PeakOf of, double seconds = 0.1);

}  // namespace llmrun
