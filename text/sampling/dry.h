// DRY ("don't repeat yourself"): the longer the row of last tokens that came before, too, the less
// likely is the token that followed it then. Breakers are strings across which no row is looked
// for; they are found in the text, however it was cut into tokens.
//
// Source: the sampler's author published it with text-generation-webui; the lengths of all repeated
// rows come from one Z-function (Gusfield 1997), so that a token costs time linear in the window.
// Threads: Thread-compatible.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/sampling/candidates.h"

namespace llmrun {

struct DryOptions {
  float multiplier = 0;    // 0: off
  float base = 1.75F;      // the penalty is multiplier * base ^ (row - allowed_length)
  int allowed_length = 2;  // the longest row that costs nothing is one shorter
  int last_n = -1;         // how many tokens back; 0: off, -1: all of them
  std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
};

class Dry {
 public:
  // `text_of` gives the bytes of a token; without it there are no breakers.
  Dry(DryOptions options, std::function<std::string(TokenId)> text_of);

  void Accept(TokenId id);
  void Forget() {
    tail_.clear();
    past_.clear();
  }
  void Apply(Candidates* candidates);

 private:
  struct Past {
    TokenId id;
    bool breaks;  // a breaker ends in this token
  };
  bool off() const { return options_.multiplier == 0 || options_.last_n == 0; }
  bool EndsBreaker(TokenId id);
  void FillRows(size_t begin);

  DryOptions options_;
  std::function<std::string(TokenId)> text_of_;
  size_t longest_breaker_ = 0;  // bytes
  std::string tail_;            // of the text: what a breaker may have begun with
  std::vector<Past> past_;
  std::vector<size_t> rows_;                     // [tokens back]: see FillRows
  std::unordered_map<TokenId, size_t> longest_;  // row that a token followed
};

}  // namespace llmrun
