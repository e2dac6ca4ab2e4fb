#include "cli/kernel_cache.h"

#include <algorithm>
#include <string>

#include "cli/cache_file.h"
#include "cli/output.h"
#include "compute/kernel_choice.h"

namespace llmrun {
namespace {

KernelChoices Known(const std::string& path, const Machine& machine) {
  return ParseKernelChoices(LoadCacheText(path), machine.cpu_model);
}

// Beside what others measured meanwhile.
void Keep(const std::string& path, const Machine& machine, const KernelChoices& choices) {
  if (path.empty()) return;
  KernelChoices all = Known(path, machine);
  for (const auto& [shape, kernel] : choices) all[shape] = kernel;
  // Where it cannot be kept it is measured again.
  (void)SaveCacheText(KernelChoicesText(all, machine.cpu_model), path);
}

}  // namespace

void UseKernelCache(const Machine& machine, KernelTuning* tuning) {
  if (tuning->mode != KernelTuning::Mode::kMeasure) return;
  const std::string path = CacheFile("kernels.json");
  tuning->known = Known(path, machine);
  tuning->on_measured = [path, &machine](const KernelTuned& tuned) {
    Keep(path, machine, tuned.choices);
  };
}

void NoteTuned(const KernelTuned& tuned) {
  if (tuned.measured == 0) return;
  const auto looked_up = std::ranges::count_if(
      tuned.choices, [](const auto& choice) { return choice.second == ProductKernel::kLookUp; });
  Note("note   kernels for {} shapes of weights measured in {:.1f} ms: {} of {} are looked up",
       tuned.measured, tuned.seconds * 1e3, looked_up, tuned.choices.size());
}

}  // namespace llmrun
