// llm-run convert: a Hugging Face checkpoint (safetensors, config.json, tokenizer) as a GGUF.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/recode_file.h"
#include "cli/thread_options.h"
#include "cli/workers.h"
#include "cli/write_chunks.h"
#include "loader/gguf/printable.h"
#include "loader/open_model.h"
#include "model/hf_config.h"
#include "model/hf_tokenizer.h"
#include "model/quantize_mix.h"

namespace llmrun {
namespace {

struct ConvertFlags {
  std::string folder;
  std::string out;
  std::string type = "f16";
  bool force = false;
  int threads = 0;  // 0: one a core
};

struct ConvertPlan {
  std::vector<TensorRecipe> recipes;
  std::vector<std::string> names;  // in the GGUF
};

// The file's text; empty where there is none.
Result<std::string> TextIfThere(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string();
  return ReadWholeFile(path.string());
}

Result<TensorIndex> OpenCheckpoint(const std::filesystem::path& folder) {
  for (const char* name : {"model.safetensors.index.json", "model.safetensors"}) {
    std::error_code error;
    const std::filesystem::path path = folder / name;
    if (std::filesystem::exists(path, error)) return OpenModel(path.string());
  }
  return MakeError(ErrorCode::kNoInput,
                   "{}: neither model.safetensors nor model.safetensors.index.json is there",
                   folder.string());
}

// Embeddings first, then the layers in their order, then the output, each as the checkpoint has
// them.
int64_t PlaceOf(const std::string& name, int64_t n_layers) {
  if (name == "token_embd.weight") return -1;
  if (!name.starts_with("blk.")) return n_layers;
  return std::atoll(name.c_str() + 4);
}

Result<ConvertPlan> PlanConvert(const TensorIndex& index, const HfModel& model, DType type,
                                const std::string& folder) {
  struct Planned {
    int64_t place;
    std::string name;
    TensorRecipe recipe;
  };
  std::vector<Planned> all;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const std::string& file = index.files()[tensor.extent.file].label;
    Result<HfTensor> mapped = MapHfTensor(model, tensor.name);
    if (!mapped) {
      Error error = mapped.error();
      error.message = file + ": " + error.message;
      return tl::unexpected(std::move(error));
    }
    if (mapped->name.empty()) continue;
    const bool is_float =
        tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16;
    const auto heads = static_cast<uint64_t>(std::max<int64_t>(1, mapped->interleaved));
    if (!is_float || tensor.n_dims < 1 || tensor.n_dims > 2 || tensor.dims[1] % heads != 0) {
      return MakeError(ErrorCode::kUnavailable,
                       "{}: tensor {}: {} of {} dimensions cannot be converted", file,
                       Quoted(tensor.name), NameOf(tensor.dtype), tensor.n_dims);
    }
    const DType target = tensor.n_dims == 1 ? DType::kF32 : type;
    const int64_t place = PlaceOf(mapped->name, model.n_layers);
    all.push_back({place,
                   std::move(mapped->name),
                   {TensorId{i}, target, mapped->interleaved, mapped->added}});
  }
  std::ranges::stable_sort(all, {}, &Planned::place);
  ConvertPlan plan;
  for (Planned& planned : all) {
    plan.recipes.push_back(planned.recipe);
    plan.names.push_back(std::move(planned.name));
  }
  RETURN_IF_ERROR(CheckHfTensors(model, plan.names, folder));
  return plan;
}

Result<std::vector<MetaEntry>> TokenizerOf(const std::filesystem::path& folder,
                                           const HfModel& model, size_t n_vocab) {
  HfTokenizerFiles files{.folder = folder.string()};
  ASSIGN_OR_RETURN(files.tokenizer, TextIfThere(folder / "tokenizer.json"));
  ASSIGN_OR_RETURN(files.sentencepiece, TextIfThere(folder / "tokenizer.model"));
  ASSIGN_OR_RETURN(files.config, TextIfThere(folder / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(files.chat_template, TextIfThere(folder / "chat_template.jinja"));
  return ConvertHfTokenizer(files, {n_vocab, model.bos, model.eos});
}

Result<GgufWriter> ConvertedHeader(const TensorIndex& index, const HfModel& model,
                                   const ConvertPlan& plan, const std::filesystem::path& folder,
                                   uint32_t file_type) {
  GgufWriter header;
  for (const MetaEntry& entry : model.metadata) header.Add(entry.key, entry.type, entry.value);
  header.AddString("general.name", std::filesystem::absolute(folder).filename().string());
  header.AddUint32("general.file_type", file_type);
  size_t n_vocab = 0;
  for (size_t i = 0; i < plan.recipes.size(); ++i) {
    const IndexedTensor& tensor = index.at(plan.recipes[i].source);
    if (plan.names[i] == "token_embd.weight") n_vocab = tensor.dims[1];
    const std::vector<uint64_t> dims(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims);
    RETURN_IF_ERROR(header.AddTensor(plan.names[i], plan.recipes[i].type, dims));
  }
  if (!model.rope_factors.empty()) {
    RETURN_IF_ERROR(
        header.AddTensor("rope_freqs.weight", DType::kF32, {model.rope_factors.size()}));
  }
  ASSIGN_OR_RETURN(const std::vector<MetaEntry> tokenizer, TokenizerOf(folder, model, n_vocab));
  for (const MetaEntry& entry : tokenizer) header.Add(entry.key, entry.type, entry.value);
  return header;
}

Status Convert(const ConvertFlags& flags) {
  ASSIGN_OR_RETURN(const QuantizeTarget target, ParseQuantizeTarget(flags.type));
  constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0};
  if (std::ranges::find(kTypes, target.type) == std::end(kTypes)) {
    return MakeFixableError(ErrorCode::kUsage, "convert to f16, then llm-run quantize",
                            "--outtype {}: expected f32, f16, bf16 or q8_0", flags.type);
  }
  RETURN_IF_ERROR(CheckOutputPath(flags.out, flags.force));
  const std::filesystem::path folder = flags.folder;
  ASSIGN_OR_RETURN(const std::string config, ReadWholeFile((folder / "config.json").string()));
  ASSIGN_OR_RETURN(const HfModel model, ReadHfConfig(config, (folder / "config.json").string()));
  ASSIGN_OR_RETURN(const TensorIndex index, OpenCheckpoint(folder));
  ASSIGN_OR_RETURN(const ConvertPlan plan, PlanConvert(index, model, target.type, flags.folder));
  ASSIGN_OR_RETURN(const GgufWriter header,
                   ConvertedHeader(index, model, plan, folder, target.file_type));
  ASSIGN_OR_RETURN(const Machine machine, DetectMachine());
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, {}, flags.threads));
  const Stopwatch watch;
  const RecodeJob job = {index, plan.recipes, header, nullptr, "convert", model.rope_factors};
  ASSIGN_OR_RETURN(const auto file, WriteRecoded(job, flags.out, *pool));
  RETURN_IF_ERROR(file->Commit());
  Note("wrote  {}  {}, {} tensors, {} ({})", flags.out, model.architecture, header.tensors().size(),
       FormatBytes(header.DataBytes()), FormatSeconds(watch.Seconds()));
  return {};
}

int RunConvert(const ConvertFlags& flags) {
  CatchInterrupts();
  const Status status = Convert(flags);
  if (Interrupted() && !status) return kInterruptedExit;
  return Finish(status);
}

}  // namespace

void AddConvertCommand(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<ConvertFlags>();
  CLI::App* command =
      app.add_subcommand("convert", "Make a GGUF of a Hugging Face checkpoint")->group(kGroupMake);
  command->add_option("DIR", flags->folder, "the folder with config.json and *.safetensors")
      ->type_name("")
      ->required();
  command->add_option("OUT", flags->out, "the file to write")->type_name("")->required();
  command->add_option("--outtype", flags->type, "of matrices: f32, f16 (default), bf16, q8_0")
      ->type_name("TYPE");
  command->add_flag("--force", flags->force, "replace the file when it is there");
  AddThreadsOption(*command, flags->threads);
  command->footer("example:\n  llm-run convert Llama-3.2-1B llama-3.2-1b-f16.gguf");
  command->callback([flags, &context] { context.action = [flags] { return RunConvert(*flags); }; });
}

}  // namespace llmrun
