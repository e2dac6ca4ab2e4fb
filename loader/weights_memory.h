// Loading into memory that the caller provides, or using what lies in it already: the seam between
// Weights and stores of resident weights (loader/resident). Internal to the loader and its tests.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "loader/plan/placement_plan.h"
#include "loader/weights.h"
#include "memory/arena.h"

namespace llmrun {

struct GivenMemory {
  // Mapped and touched, as many and at least as large as PlanImages(images) says; none: the load
  // reserves its own.
  std::vector<Arena> arenas = {};
  ImageSpec images = {};
  bool filled = false;          // the images lie in them: nothing is read, every latch is open
  bool packed = false;          // filled: with LoadOptions::packing
  double seconds_before = 0;    // finding or making it, counted into LoadReport::seconds
  double populate_seconds = 0;  // of that: touching it
  // Called on the loading thread after the last latch; not part of LoadReport::seconds.
  std::function<void()> when_open = {};
  std::vector<Fallback> fallbacks = {};  // for the report
};

// As StartLoad(), which looks for the memory itself. Requires: `filled` only with arenas.
Result<std::unique_ptr<Weights>> StartLoadInto(const TensorIndex& index, const Machine& machine,
                                               const LoadOptions& options, GivenMemory memory);

}  // namespace llmrun
