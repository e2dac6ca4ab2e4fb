// llm-run quantize: a model with its matrices in another type.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/describe.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/recode_file.h"
#include "cli/thread_options.h"
#include "cli/workers.h"
#include "cli/write_chunks.h"
#include "compute/quantize.h"
#include "loader/open_model.h"
#include "model/quantize_mix.h"

namespace llmrun {
namespace {

struct QuantizeFlags {
  std::string in;
  std::string out;
  std::string type;
  std::string importance;
  std::string output_type;
  std::string embedding_type;
  bool pure = false;
  bool allow_requantize = false;
  bool leave_output = false;
  bool dry_run = false;
  bool force = false;
  int threads = 0;  // 0: one a core
};

Result<std::optional<DType>> TypeOfFlag(const char* flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::optional<DType> type = ParseDType(text);
  if (type && HasEncoder(*type)) return type;
  return MakeError(ErrorCode::kUsage, "{}={}: expected a type of tensors, like Q6_K or F16", flag,
                   text);
}

Result<QuantizeOptions> OptionsOf(const QuantizeFlags& flags) {
  QuantizeOptions options;
  ASSIGN_OR_RETURN(options.target, ParseQuantizeTarget(flags.type));
  options.pure = flags.pure;
  options.leave_output = flags.leave_output;
  options.allow_requantize = flags.allow_requantize;
  options.has_importance = !flags.importance.empty();
  ASSIGN_OR_RETURN(options.output_type, TypeOfFlag("--output-tensor-type", flags.output_type));
  ASSIGN_OR_RETURN(options.embedding_type,
                   TypeOfFlag("--token-embedding-type", flags.embedding_type));
  return options;
}

// All that the model says of itself, but for what is no longer true.
Result<GgufWriter> HeaderOf(const TensorIndex& index, const std::vector<TensorTarget>& plan,
                            const QuantizeFlags& flags, const QuantizeTarget& target) {
  constexpr uint32_t kQuantizationVersion = 2;
  GgufWriter header(static_cast<uint32_t>(index.files().front().alignment));
  header.AddFrom(index.metadata(), [](std::string_view key) {
    return !key.starts_with("split.") && !key.starts_with("quantize.imatrix.") &&
           key != "general.file_type" && key != "general.quantization_version";
  });
  header.AddUint32("general.quantization_version", kQuantizationVersion);
  header.AddUint32("general.file_type", target.file_type);
  if (!flags.importance.empty()) header.AddString("quantize.imatrix.file", flags.importance);
  for (size_t i = 0; i < plan.size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const std::vector<uint64_t> dims(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims);
    RETURN_IF_ERROR(header.AddTensor(tensor.name, plan[i].type, dims));
  }
  return header;
}

Status WritePlan(const TensorIndex& index, const GgufWriter& header) {
  using enum Table::Align;
  Table table({kLeft, kRight, kLeft, kLeft, kRight});
  table.AddRow({"name", "dims", "from", "to", "bytes"});
  for (size_t i = 0; i < index.tensors().size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const GgufWriter::Tensor& target = header.tensors()[i];
    table.AddRow({Printable(tensor.name), DimsText(tensor.dims, tensor.n_dims),
                  std::string(NameOf(tensor.dtype)), std::string(NameOf(target.dtype)),
                  std::to_string(target.bytes)});
  }
  return WriteStdout(table.Format());
}

Status Quantize(const QuantizeFlags& flags) {
  ASSIGN_OR_RETURN(const QuantizeOptions options, OptionsOf(flags));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenRunnableModel(flags.in));
  std::optional<ImportanceMatrix> importance;
  if (options.has_importance) {
    ASSIGN_OR_RETURN(importance, ImportanceMatrix::Open(flags.importance));
  }
  ASSIGN_OR_RETURN(const std::vector<TensorTarget> plan, PlanQuantize(index, options));
  ASSIGN_OR_RETURN(const GgufWriter header, HeaderOf(index, plan, flags, options.target));
  for (const TensorTarget& tensor : plan) {
    if (!tensor.fallback.empty()) Note("note   {}", tensor.fallback);
  }
  if (flags.dry_run) return WritePlan(index, header);
  RETURN_IF_ERROR(CheckOutputPath(flags.out, flags.force));
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, {}, flags.threads));
  const Stopwatch watch;
  std::vector<TensorRecipe> recipes;
  for (uint32_t i = 0; i < plan.size(); ++i) recipes.push_back({TensorId{i}, plan[i].type});
  const RecodeJob job = {index, recipes, header, importance ? &*importance : nullptr, "quantize"};
  ASSIGN_OR_RETURN(const auto file, WriteRecoded(job, flags.out, *pool));
  RETURN_IF_ERROR(file->Commit());
  const ModelTotals totals = TotalsOf(index);
  uint64_t bytes = 0;
  for (const GgufWriter::Tensor& tensor : header.tensors()) bytes += tensor.bytes;
  Note("wrote  {}  {}: {} of tensors, {:.2f} bits per weight; before {}, {:.2f} ({})", flags.out,
       options.target.name, FormatBytes(bytes),
       8 * static_cast<double>(bytes) / static_cast<double>(totals.all.parameters),
       FormatBytes(totals.all.bytes), totals.BitsPerWeight(), FormatSeconds(watch.Seconds()));
  return {};
}

int RunQuantize(const QuantizeFlags& flags) {
  CatchInterrupts();
  const Status status = Quantize(flags);
  if (Interrupted() && !status) return kInterruptedExit;
  return Finish(status);
}

}  // namespace

void AddQuantizeCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<QuantizeFlags>();
  CLI::App* command =
      app.add_subcommand("quantize", "Write a model with its matrices in another type")
          ->group(kGroupMake);
  command->add_option("IN", flags->in, "GGUF file, or any part of a split one")
      ->type_name("")
      ->required();
  command->add_option("OUT", flags->out, "the file to write")->type_name("")->required();
  const std::vector<std::string_view> names = QuantizeTargetNames();
  const std::span<const std::string_view> types = names;
  constexpr size_t kTypesOfLine = 13;
  command
      ->add_option("TYPE", flags->type,
                   fmt::format("{},\n{}", fmt::join(types.first(kTypesOfLine), ", "),
                               fmt::join(types.subspan(kTypesOfLine), ", ")))
      ->type_name("")
      ->required();
  command->add_flag("--pure", flags->pure, "one type for all matrices, no mixture");
  command
      ->add_option("--imatrix", flags->importance,
                   "importance matrix (GGUF or .dat), by which errors are weighted")
      ->type_name("FILE");
  command->add_option("--output-tensor-type", flags->output_type, "of output.weight")
      ->type_name("TYPE");
  command->add_option("--token-embedding-type", flags->embedding_type, "of token_embd.weight")
      ->type_name("TYPE");
  command->add_flag("--leave-output-tensor", flags->leave_output, "output.weight stays as it is");
  command->add_flag("--allow-requantize", flags->allow_requantize,
                    "of tensors that are quantized already, which loses twice");
  command->add_flag("--dry-run", flags->dry_run, "show the types, write nothing");
  command->add_flag("--force", flags->force, "replace the file when it is there");
  AddThreadsOption(*command, flags->threads);
  command->footer("example:\n  llm-run quantize model-f16.gguf model-q4_k_m.gguf Q4_K_M");
  command->callback(
      [flags, &context] { context.action = [flags] { return RunQuantize(*flags); }; });
}

}  // namespace llmrun
