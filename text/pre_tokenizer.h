// Cuts a text into the pieces that byte-pair merging may not cross: regular expressions by name
// (tokenizer.ggml.pre), applied one after the other, each inside the pieces of the one before. What
// an expression matches is a piece, and so is what lies between two matches.
//
// Threads: immutable after Create(); Split() is Thread-safe.
// Failure: Create() gives kUnavailable for an unknown name. Split() takes any bytes. The
// expressions need time linear in the text (the table says why), and PCRE2 neither recurses nor
// runs without limits.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/pre_tokenizer_table.h"

struct pcre2_real_code_8;

namespace llmrun {

class PreTokenizer {
 public:
  // `jit` = false interprets the expressions, as happens by itself where the machine forbids
  // writable code pages; the result is the same.
  static Result<PreTokenizer> Create(std::string_view name, bool jit = true);

  // Where each piece ends, ascending; the last is text.size(). Empty for an empty text.
  std::vector<size_t> Split(std::string_view text) const;
  const PreTokenizerRule& rule() const { return *rule_; }

 private:
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const;
  };
  using Code = std::unique_ptr<pcre2_real_code_8, FreeCode>;

  explicit PreTokenizer(const PreTokenizerRule* rule) : rule_(rule) {}
  static Result<Code> Compile(std::string_view pattern, bool jit);

  const PreTokenizerRule* rule_;
  std::vector<Code> codes_;
};

}  // namespace llmrun
