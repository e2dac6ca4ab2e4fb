// llm-run synth: a random-weight model of a given shape, to benchmark loading and kernels with.

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/synth_file.h"
#include "cli/synth_shape.h"
#include "cli/thread_options.h"
#include "cli/workers.h"
#include "cli/write_chunks.h"

namespace llmrun {
namespace {

struct SynthOptions {
  std::string shape = "tinyllama-1.1b";
  std::string type = "Q4_0";
  uint64_t seed = 1;
  std::string out;
  bool force = false;
  int threads = 0;  // 0: one a core
};

Status Synth(const SynthOptions& options) {
  ASSIGN_OR_RETURN(const SynthShape shape, ParseSynthShape(options.shape));
  ASSIGN_OR_RETURN(const SynthType type, ParseSynthType(options.type));
  RETURN_IF_ERROR(CheckOutputPath(options.out, options.force));
  ASSIGN_OR_RETURN(const SynthLayout layout, LayOutSynth(shape, type, options.seed));
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, {}, options.threads));
  const Stopwatch watch;
  RETURN_IF_ERROR(WriteSynthFile(layout, options.seed, options.out, *pool));
  const uint64_t bytes = layout.header.size() + layout.data_bytes;
  const double seconds = watch.Seconds();
  Note("wrote  {}  {} tensors, {} parameters, {} in {} ({})", options.out, layout.tensors.size(),
       FormatCount(layout.parameters), FormatBytes(bytes), FormatSeconds(seconds),
       FormatRate(bytes, seconds));
  return {};
}

int RunSynth(const SynthOptions& options) {
  CatchInterrupts();
  const Status status = Synth(options);
  if (Interrupted() && !status) return kInterruptedExit;
  return Finish(status);
}

}  // namespace

void AddSynthCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SynthOptions>();
  CLI::App* command = app.add_subcommand("synth", "Write a random-weight model to benchmark with")
                          ->group(kGroupMeasure);
  command
      ->add_option("--shape", options->shape,
                   fmt::format("{},\nor D:FF:L:H:KV:V (embedding, feed-forward, layers, heads, KV "
                               "heads, vocabulary);\nD:FF:L:H:KV:V:E:K has E experts, of which "
                               "each token uses K\n(default: tinyllama-1.1b)",
                               fmt::join(SynthShapeNames(), ", ")))
      ->type_name("SHAPE");
  const std::vector<std::string> type_names = SynthTypeNames();
  const std::span<const std::string> types = type_names;
  constexpr size_t kTypesOfLine = 13;
  command
      ->add_option(
          "--type", options->type,
          fmt::format("{},\n{} (default: Q4_0)", fmt::join(types.first(kTypesOfLine), ", "),
                      fmt::join(types.subspan(kTypesOfLine), ", ")))
      ->type_name("TYPE");
  command->add_option("--seed", options->seed, "the same seed gives the same bytes (default: 1)")
      ->type_name("N");
  command->add_option("OUT", options->out, "the file to write")->type_name("")->required();
  command->add_flag("--force", options->force, "replace the file when it is there");
  AddThreadsOption(*command, options->threads);
  command->footer(
      "The architecture is llama for every shape: bitnet-2b4t has the dimensions of that model, "
      "but\n"
      "not yet its extra norms and its activation.\n"
      "example:\n  llm-run synth --shape llama-3.2-1b --type Q4_K_M /tmp/1b.gguf");
  command->callback(
      [options, &context] { context.action = [options] { return RunSynth(*options); }; });
}

}  // namespace llmrun
