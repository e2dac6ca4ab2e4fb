// The steps that cut away unlikely tokens, or the likeliest. Each leaves at least one candidate
// where it found one, and does nothing at the value that switches it off.
//
// Sources: Fan et al. 2018 (top-k), Holtzman et al. 2020 (top-p), Nguyen et al. 2024 (min-p),
// Meister et al. 2022 (typical), Tang et al. 2024 (top-n-sigma); XTC as its author published it.
// Threads: no state.
#pragma once

#include "text/sampling/candidates.h"
#include "text/sampling/random.h"

namespace llmrun {

void KeepTopK(int k, Candidates* candidates);     // the best k; <= 0: off
void KeepTopP(double p, Candidates* candidates);  // the shortest row of best that has p; >= 1: off
void KeepMinP(double p, Candidates* candidates);  // p of the best's probability; <= 0: off
void KeepTypical(double p,
                 Candidates* candidates);  // those of usual surprise that have p; >= 1: off
void KeepTopNSigma(double n, Candidates* candidates);  // n deviations from the best; <= 0: off
// With `probability`, all of at least `threshold` but the least likely of them are excluded.
// probability <= 0 or threshold > 0.5: off.
void ExcludeTopChoices(double probability, double threshold, Random* random,
                       Candidates* candidates);

}  // namespace llmrun
