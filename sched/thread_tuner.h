// Finds out, from the times of the tokens themselves, whether decode is faster with fewer threads:
// it is bound by memory, which fewer threads than cores may saturate, and each further one has to
// be waited for.
//
// From `most` downwards, three quarters of the best number so far are tried against it, in blocks
// of three tokens in turn: best, fewer, best, fewer, ... best. The first token of a block is not
// counted (caches and team have just changed); the faster of the other two stands for the block. A
// round is a block of fewer against the faster of the two of best around it, so that neither what
// grows or shrinks with the position nor one disturbed block makes fewer look faster. Fewer wins a
// round when it takes 3 % less time. Three rounds decide: won, fewer is the best and the next
// number is tried against it; lost, it is settled.
//
// What it costs: a trial has at most five rounds, kMostTokensOfTrial tokens, 15 of them with fewer
// threads; one that loses from the start has three rounds, 9 tokens with fewer. Where speed follows
// the number of threads those take 4/3 of the usual time (5/3 with 3 instead of 5): 3 (6) tokens'
// worth are lost, once, since the first trial lost is the last. From 16 threads there are at most 5
// trials, from 64 at most 10. Below kFewestTried threads nothing is tried.
//
// Threads: Thread-compatible, a value.
#pragma once

#include <vector>

namespace llmrun {

class ThreadTuner {
 public:
  static constexpr int kFewestTried = 4;
  static constexpr int kMostTokensOfTrial = 33;
  static constexpr double kFaster = 0.97;  // of the time

  // Requires: most >= 1.
  explicit ThreadTuner(int most);

  // How many compute the next token.
  int threads() const { return trying_ ? fewer_ : best_; }
  // What the token computed with threads() took.
  void Add(double seconds);

  bool settled() const { return fewer_ == best_; }
  int most() const { return most_; }
  int best() const { return best_; }  // so far
  // How much faster best() is than most(), as it was measured: 1.08 is 8 % faster; 1 for most().
  double speedup() const { return speedup_; }

 private:
  void TryFewer();
  void EndBlock();
  void EndRound(double ratio);

  int most_;
  int best_;
  int fewer_ = 0;  // what best_ is compared with; best_: nothing more
  double speedup_ = 1;
  std::vector<double> ratios_;  // of the rounds of this trial: the time of fewer to that of best
  // The block that is being measured.
  bool trying_ = false;  // with fewer
  int tokens_ = 0;
  double seconds_ = 0;
  // The last ones of this trial; 0 before there are any.
  double best_seconds_ = 0;
  double fewer_seconds_ = 0;
};

}  // namespace llmrun
