#include "cli/sampler_flags.h"

#include <sys/random.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "cli/prompt.h"
#include "text/grammar/constraint.h"
#include "text/grammar/grammar.h"
#include "text/grammar/json_schema.h"

namespace llmrun {
namespace {

uint64_t RandomSeed() {
  uint32_t seed = 0;
  // Short on purpose: people type it back. A failure leaves 0, which is a seed as good as any.
  (void)::getrandom(&seed, sizeof seed, 0);
  return seed;
}

// "15043-1.5", "15043+inf": the sign belongs to the bias.
Status ParseBias(const std::string& text, SamplerOptions* options) {
  TokenId id = 0;
  float bias = 0;
  const char* const end = text.data() + text.size();
  const auto number = std::from_chars(text.data(), end, id);
  const bool plus = number.ptr != end && *number.ptr == '+';
  const bool signed_bias = plus || (number.ptr != end && *number.ptr == '-');
  const auto rest = std::from_chars(number.ptr + (plus ? 1 : 0), end, bias);
  if (number.ec != std::errc() || rest.ec != std::errc() || !signed_bias || rest.ptr != end ||
      id < 0) {
    return MakeFixableError(ErrorCode::kUsage, "-l 15043+1 or -l 15043-inf",
                            "'{}' is no bias of a token", text);
  }
  options->logit_bias[id] += bias;
  return {};
}

template <typename T>
void AddNumber(CLI::App& command, const char* name, T& value, const char* what) {
  command.add_option(name, value, what)->capture_default_str()->group(kGroupSampling);
}

void AddPenaltyFlags(CLI::App& command, SamplerFlags& flags) {
  SamplerOptions& s = flags.options;
  AddNumber(command, "--repeat-last-n", s.repeat_last_n,
            "tokens the penalties look back, 0 = off, -1 = all");
  AddNumber(command, "--repeat-penalty", s.repeat_penalty, "make repetition less likely, 1 = off");
  AddNumber(command, "--presence-penalty", s.presence_penalty,
            "taken off tokens that came, 0 = off");
  AddNumber(command, "--frequency-penalty", s.frequency_penalty,
            "taken off each time a token came, 0 = off");
  AddNumber(command, "--dry-multiplier", s.dry.multiplier,
            "DRY: penalty of repeated rows of tokens, 0 = off");
  AddNumber(command, "--dry-base", s.dry.base,
            "DRY: the penalty grows by this for each further token");
  AddNumber(command, "--dry-allowed-length", s.dry.allowed_length,
            "DRY: rows shorter than this cost nothing");
  AddNumber(command, "--dry-penalty-last-n", s.dry.last_n,
            "DRY: tokens to look back, 0 = off, -1 = all");
  command
      .add_option("--dry-sequence-breaker", flags.breakers,
                  "DRY: no row goes across this text (default: newline : \" *), none = no breakers")
      ->type_name("TEXT")
      ->expected(1)
      ->take_all()
      ->group(kGroupSampling);
}

void AddTruncationFlags(CLI::App& command, SamplerFlags& flags) {
  SamplerOptions& s = flags.options;
  AddNumber(command, "--temp,--temperature", s.temperature,
            "temperature, 0 = always the likeliest token");
  AddNumber(command, "--top-k", s.top_k, "of the K likeliest tokens, 0 = all");
  AddNumber(command, "--top-p", s.top_p, "of the likeliest tokens that make up P, 1 = all");
  AddNumber(command, "--min-p", s.min_p, "at least P times as likely as the likeliest, 0 = all");
  AddNumber(command, "--top-n-sigma,--top-nsigma", s.top_n_sigma,
            "N standard deviations from the best, -1 = all");
  AddNumber(command, "--typical,--typical-p", s.typical_p,
            "of usual surprise that make up P, 1 = all");
  AddNumber(command, "--xtc-probability", s.xtc_probability,
            "XTC: how often the likeliest are excluded, 0 = off");
  AddNumber(command, "--xtc-threshold", s.xtc_threshold,
            "XTC: how likely they are at least, over 0.5 = off");
  AddNumber(command, "--dynatemp-range", s.dynatemp_range,
            "temperature by entropy, up to so much off, 0 = fixed");
  AddNumber(command, "--dynatemp-exp", s.dynatemp_exponent, "exponent of that entropy");
  AddNumber(command, "--mirostat", s.mirostat.version,
            "hold the surprise: 0 = off, 1 or 2 = Mirostat 1 or 2");
  AddNumber(command, "--mirostat-lr", s.mirostat.learning_rate, "Mirostat's learning rate (eta)");
  AddNumber(command, "--mirostat-ent", s.mirostat.target_surprise,
            "Mirostat's surprise to hold, bits (tau)");
}

void AddGrammarFlags(CLI::App& command, SamplerFlags& flags) {
  const auto add = [&](const char* name, std::string& value, const char* type, const char* what) {
    command.add_option(name, value, what)->type_name(type)->group(kGroupSampling);
  };
  add("--grammar", flags.grammar, "GBNF", "the answer is a text of this grammar");
  add("--grammar-file", flags.grammar_file, "FILE", "the same, from a file");
  add("-j,--json-schema", flags.json_schema, "JSON", "the answer is JSON that this schema accepts");
  add("--json-schema-file", flags.json_schema_file, "FILE", "the same, from a file (-jf)");
}

// The grammar that the answer is held to, if any.
Result<std::optional<Grammar>> ReadGrammar(const SamplerFlags& flags) {
  const int given = !flags.grammar.empty() + !flags.grammar_file.empty() +
                    !flags.json_schema.empty() + !flags.json_schema_file.empty();
  if (given == 0) return std::optional<Grammar>();
  if (given > 1) {
    return MakeError(ErrorCode::kUsage,
                     "of --grammar, --grammar-file, --json-schema and --json-schema-file only one "
                     "can hold");
  }
  std::string gbnf = flags.grammar;
  if (!flags.grammar_file.empty()) {
    ASSIGN_OR_RETURN(gbnf, ReadWholeFile(flags.grammar_file));
  }
  std::string schema = flags.json_schema;
  if (!flags.json_schema_file.empty()) {
    ASSIGN_OR_RETURN(schema, ReadWholeFile(flags.json_schema_file));
  }
  if (flags.grammar.empty() && flags.grammar_file.empty()) {
    ASSIGN_OR_RETURN(gbnf, JsonSchemaToGbnf(schema));
  }
  ASSIGN_OR_RETURN(Grammar grammar, CompileGrammar(gbnf));
  return std::optional<Grammar>(std::move(grammar));
}

}  // namespace

void AddSamplerFlags(CLI::App& command, SamplerFlags& flags) {
  command.add_option("--samplers", flags.steps, "the steps in their order, separated by ';'")
      ->default_str(SamplerNames(DefaultSamplerSteps()))
      ->type_name("NAMES")
      ->group(kGroupSampling);
  command
      .add_option("--sampler-seq,--sampling-seq", flags.step_letters,
                  "the same by letters: e d s k y p m x t")
      ->type_name("LETTERS")
      ->group(kGroupSampling);
  flags.options.seed = RandomSeed();
  command
      .add_option_function<int64_t>(
          "-s,--seed",
          [&flags](const int64_t& seed) {
            if (seed >= 0) flags.options.seed = static_cast<uint64_t>(seed);
          },
          "seed of the sampler, random when absent or -1")
      ->group(kGroupSampling);
  AddTruncationFlags(command, flags);
  AddPenaltyFlags(command, flags);
  command
      .add_option("-l,--logit-bias", flags.biases,
                  "make a token likelier or less likely: 15043+1, 15043-inf; may be repeated")
      ->type_name("ID+BIAS")
      ->expected(1)
      ->take_all()
      ->group(kGroupSampling);
  AddGrammarFlags(command, flags);
  command.add_flag("--ignore-eos", flags.ignore_eos, "never end the text: go on to the limit")
      ->group(kGroupSampling);
}

Result<SamplerPlan> PlanSampler(const SamplerFlags& flags) {
  SamplerPlan plan{.options = flags.options, .ignore_eos = flags.ignore_eos};
  SamplerOptions& options = plan.options;
  if (!flags.steps.empty() && !flags.step_letters.empty()) {
    return MakeError(ErrorCode::kUsage, "--samplers and --sampler-seq are one thing; give one");
  }
  if (!flags.steps.empty()) {
    ASSIGN_OR_RETURN(options.steps, ParseSamplerNames(flags.steps));
  }
  if (!flags.step_letters.empty()) {
    ASSIGN_OR_RETURN(options.steps, ParseSamplerLetters(flags.step_letters));
  }
  for (const std::string& bias : flags.biases) RETURN_IF_ERROR(ParseBias(bias, &options));
  if (!flags.breakers.empty()) options.dry.breakers.clear();
  for (const std::string& breaker : flags.breakers) {
    if (breaker != "none") options.dry.breakers.push_back(Unescape(breaker));
  }
  RETURN_IF_ERROR(Sampler::Create(options));
  ASSIGN_OR_RETURN(plan.grammar, ReadGrammar(flags));
  return plan;
}

Result<Sampler> MakeSampler(SamplerPlan plan, const Tokenizer& tokenizer) {
  SamplerOptions& options = plan.options;
  if (plan.ignore_eos) {
    for (size_t i = 0; i < tokenizer.VocabSize(); ++i) {
      const auto id = static_cast<TokenId>(i);
      if (!tokenizer.IsEndOfGeneration(id)) continue;
      options.logit_bias[id] = -std::numeric_limits<float>::infinity();
    }
  }
  ASSIGN_OR_RETURN(Sampler sampler, Sampler::Create(options, [&tokenizer](TokenId id) {
                     return tokenizer.Decode(id);
                   }));
  if (plan.grammar) {
    ASSIGN_OR_RETURN(const GrammarConstraint constraint,
                     GrammarConstraint::Create(*std::move(plan.grammar), tokenizer));
    sampler.Constrain(constraint);
  }
  return sampler;
}

}  // namespace llmrun
