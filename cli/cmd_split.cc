// llm-run split and merge: a model as one file or as several, with the same tensors.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/recode_file.h"
#include "cli/thread_options.h"
#include "cli/workers.h"
#include "cli/write_chunks.h"
#include "loader/index/split_plan.h"
#include "loader/open_model.h"

namespace llmrun {
namespace {

struct SplitFlags {
  std::string in;
  std::string out;
  std::string max_size;
  uint64_t max_tensors = 0;
  bool dry_run = false;
  bool force = false;
  int threads = 0;  // 0: one a core
};

Result<SplitLimits> LimitsOf(const SplitFlags& flags) {
  constexpr uint64_t kUsualTensors = 128;
  SplitLimits limits{.max_tensors = flags.max_tensors};
  if (!flags.max_size.empty()) {
    ASSIGN_OR_RETURN(limits.max_bytes, ParseSize(flags.max_size));
    if (limits.max_bytes == 0) {
      return MakeError(ErrorCode::kUsage, "--split-max-size={}: expected more than nothing",
                       flags.max_size);
    }
  }
  if (limits.max_tensors == 0 && limits.max_bytes == 0) limits.max_tensors = kUsualTensors;
  return limits;
}

std::string PartPath(const SplitFlags& flags, size_t number, size_t count) {
  constexpr std::string_view kExtension = ".gguf";
  std::string_view prefix = flags.out;
  if (prefix.ends_with(kExtension)) prefix.remove_suffix(kExtension.size());
  return SplitPartPath(prefix, number + 1, count);
}

// `header` has the tensors of the index from `first` on.
Result<std::unique_ptr<OutputFile>> WriteCopies(const TensorIndex& index, uint32_t first,
                                                const GgufWriter& header, const std::string& path,
                                                ThreadPool& pool) {
  std::vector<TensorRecipe> recipes;
  for (uint32_t i = 0; i < header.tensors().size(); ++i) {
    recipes.push_back({TensorId{first + i}, header.tensors()[i].dtype});
  }
  return WriteRecoded({index, recipes, header, nullptr, "copy"}, path, pool);
}

Status Split(const SplitFlags& flags) {
  ASSIGN_OR_RETURN(const SplitLimits limits, LimitsOf(flags));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenRunnableModel(flags.in));
  ASSIGN_OR_RETURN(const std::vector<SplitPart> parts, PlanSplit(index, limits));
  const auto describe = [&](size_t i) {
    return fmt::format("{}  {} tensors, {}", PartPath(flags, i, parts.size()),
                       parts[i].last - parts[i].first, FormatBytes(parts[i].bytes));
  };
  if (flags.dry_run) {
    for (size_t i = 0; i < parts.size(); ++i) RETURN_IF_ERROR(WriteStdout(describe(i) + "\n"));
    return {};
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    RETURN_IF_ERROR(CheckOutputPath(PartPath(flags, i, parts.size()), flags.force));
  }
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, {}, flags.threads));
  std::vector<std::unique_ptr<OutputFile>> files;  // none gets its name before all are there
  for (size_t i = 0; i < parts.size(); ++i) {
    ASSIGN_OR_RETURN(const GgufWriter header, SplitPartHeader(index, parts, i));
    ASSIGN_OR_RETURN(auto file, WriteCopies(index, parts[i].first, header,
                                            PartPath(flags, i, parts.size()), *pool));
    files.push_back(std::move(file));
  }
  for (const auto& file : files) RETURN_IF_ERROR(file->Commit());
  for (size_t i = 0; i < parts.size(); ++i) Note("wrote  {}", describe(i));
  return {};
}

Status Merge(const SplitFlags& flags) {
  ASSIGN_OR_RETURN(const TensorIndex index, OpenRunnableModel(flags.in));
  ASSIGN_OR_RETURN(const GgufWriter header, MergedHeader(index));
  RETURN_IF_ERROR(CheckOutputPath(flags.out, flags.force));
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, {}, flags.threads));
  ASSIGN_OR_RETURN(const auto file, WriteCopies(index, 0, header, flags.out, *pool));
  RETURN_IF_ERROR(file->Commit());
  Note("wrote  {}  {} tensors, {}, from {} files", flags.out, index.tensors().size(),
       FormatBytes(index.total_bytes()), index.files().size());
  return {};
}

int RunSplitWork(Status (*work)(const SplitFlags&), const SplitFlags& flags) {
  CatchInterrupts();
  const Status status = work(flags);
  if (Interrupted() && !status) return kInterruptedExit;
  return Finish(status);
}

void AddCommonOptions(CLI::App& command, SplitFlags& flags, const char* out) {
  command.add_option("IN", flags.in, "GGUF file, or any part of a split one")
      ->type_name("")
      ->required();
  command.add_option("OUT", flags.out, out)->type_name("")->required();
  command.add_flag("--force", flags.force, "replace files that are there");
  AddThreadsOption(command, flags.threads);
}

}  // namespace

void AddSplitCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<SplitFlags>();
  CLI::App* command =
      app.add_subcommand("split", "Cut a model into several files")->group(kGroupMake);
  AddCommonOptions(*command, *flags, "how the names of the files begin");
  command
      ->add_option("--split-max-size", flags->max_size,
                   "bytes of tensors a file, like 512M or 2G (1K = 1024)")
      ->type_name("SIZE");
  command
      ->add_option("--split-max-tensors", flags->max_tensors,
                   "tensors a file (default: 128, where no size is given)")
      ->type_name("N");
  command->add_flag("--dry-run", flags->dry_run, "show the files, write nothing");
  command->footer(
      "example:\n  llm-run split --split-max-size 2G model.gguf model\n"
      "  (model-00001-of-00003.gguf, ...)");
  command->callback(
      [flags, &context] { context.action = [flags] { return RunSplitWork(Split, *flags); }; });
}

void AddMergeCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<SplitFlags>();
  CLI::App* command =
      app.add_subcommand("merge", "Join the files of a split model")->group(kGroupMake);
  AddCommonOptions(*command, *flags, "the file to write");
  command->footer("example:\n  llm-run merge model-00001-of-00003.gguf model.gguf");
  command->callback(
      [flags, &context] { context.action = [flags] { return RunSplitWork(Merge, *flags); }; });
}

}  // namespace llmrun
