// The options of the sampler, spelled as in llama.cpp.
// Threads: before any thread is started.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "text/grammar/grammar.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

namespace llmrun {

inline constexpr char kGroupSampling[] = "Sampling";  // of --help

struct SamplerFlags {
  SamplerOptions options;
  std::string steps;                  // --samplers
  std::string step_letters;           // --sampler-seq
  std::vector<std::string> biases;    // TOKEN_ID+BIAS or TOKEN_ID-BIAS
  std::vector<std::string> breakers;  // of DRY, escapes as in C; "none": no breakers
  bool ignore_eos = false;
  // What the answer must be: at most one of them.
  std::string grammar;           // GBNF
  std::string grammar_file;      //
  std::string json_schema;       //
  std::string json_schema_file;  //
};

// Draws the seed where the user gives none, when the options are parsed.
void AddSamplerFlags(CLI::App& command, SamplerFlags& flags);

// What can be made of the flags before anything is loaded.
struct SamplerPlan {
  SamplerOptions options;
  bool ignore_eos = false;
  std::optional<Grammar> grammar = std::nullopt;
};

// kUsage for values that no sampler takes; errors of the grammar.
Result<SamplerPlan> PlanSampler(const SamplerFlags& flags);

// The sampler for a vocabulary: with ignore_eos the tokens that end a text are forbidden.
// The tokenizer must outlive it.
Result<Sampler> MakeSampler(SamplerPlan plan, const Tokenizer& tokenizer);

}  // namespace llmrun
