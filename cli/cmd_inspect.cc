// llm-run inspect: what a model file says about itself, without reading its weights.

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/describe.h"
#include "cli/model_source.h"
#include "cli/output.h"

namespace llmrun {
namespace {

struct InspectOptions {
  ModelOptions model;
  bool json = false;
  bool no_tensors = false;
  bool all = false;
};

constexpr size_t kArrayElemsShown = 8;  // of metadata arrays; vocabularies have 10^5

// --- metadata ---

std::string ElementText(const std::string& value) { return '"' + Printable(value, 40) + '"'; }
template <typename T>
std::string ElementText(T value) {
  return fmt::format("{}", value);
}

std::string ArrayText(const MetaArray& array) {
  std::string out;
  std::visit(
      [&](const auto& elements) {
        for (size_t i = 0; i < elements.size() && i < kArrayElemsShown; ++i) {
          out += (i > 0 ? ", " : "") + ElementText(elements[i]);
        }
      },
      array.data);
  return array.size() > kArrayElemsShown ? out + ", ..." : out;
}

std::string TypeText(const MetaEntry& entry) {
  const auto* array = std::get_if<MetaArray>(&entry.value);
  if (array == nullptr) return std::string(NameOf(entry.type));
  return fmt::format("{}[{}]", NameOf(array->element_type), array->size());
}

std::string ValueText(const MetaEntry& entry) {
  return std::visit(
      [](const auto& value) -> std::string {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, MetaArray>) {
          return ArrayText(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return '"' + Printable(value) + '"';
        } else {
          return ElementText(value);
        }
      },
      entry.value);
}

// `all`: every element of an array, as "values"; else the first of them, as "first".
Json MetadataJson(const MetaEntry& entry, bool all) {
  Json json = {{"type", NameOf(entry.type)}};
  const auto* array = std::get_if<MetaArray>(&entry.value);
  if (array == nullptr) {
    std::visit(
        [&](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, MetaArray>) {
            json["value"] = value;
          }
        },
        entry.value);
    return json;
  }
  json["element_type"] = NameOf(array->element_type);
  json["count"] = array->size();
  Json shown = Json::array();
  std::visit(
      [&](const auto& elements) {
        for (size_t i = 0; i < elements.size() && (all || i < kArrayElemsShown); ++i) {
          shown.push_back(elements[i]);
        }
      },
      array->data);
  json[all ? "values" : "first"] = shown;
  return json;
}

// --- the document ---

Json InspectJson(const TensorIndex& index, const ModelTotals& totals,
                 const InspectOptions& options) {
  Json files = Json::array();
  for (const GgufFile& file : index.files()) {
    files.push_back({{"path", file.label},
                     {"format", file.format == FileFormat::kGguf ? "gguf" : "safetensors"},
                     {"version", file.version},
                     {"alignment", file.alignment},
                     {"data_offset", file.data_offset},
                     {"file_bytes", file.file_bytes},
                     {"tensors", file.tensors.size()}});
  }
  Json types = Json::array();
  for (const auto& [type, total] : totals.types) {
    types.push_back({{"type", NameOf(type)},
                     {"tensors", total.tensors},
                     {"parameters", total.parameters},
                     {"bytes", total.bytes}});
  }
  Json metadata = Json::object();
  for (const MetaEntry& entry : index.metadata().entries()) {
    metadata[entry.key] = MetadataJson(entry, options.all);
  }
  Json json = {{"files", files},
               {"tensor_count", index.tensors().size()},
               {"parameters", totals.all.parameters},
               {"tensor_bytes", totals.all.bytes},
               {"bits_per_weight", totals.BitsPerWeight()},
               {"types", types},
               {"metadata", metadata}};
  if (options.no_tensors) return json;
  json["tensors"] = Json::array();
  for (const IndexedTensor& tensor : index.tensors()) {
    json["tensors"].push_back(
        {{"name", tensor.name},
         {"type", NameOf(tensor.dtype)},
         {"dims", std::vector<uint64_t>(tensor.dims.begin(), tensor.dims.begin() + tensor.n_dims)},
         {"bytes", tensor.extent.bytes},
         {"offset", tensor.extent.offset},
         {"file", tensor.extent.file}});
  }
  return json;
}

std::string TensorTable(const TensorIndex& index) {
  using enum Table::Align;
  const bool split = index.files().size() > 1;
  Table table({kLeft, kLeft, kRight, kRight, kRight, kLeft});
  table.AddRow({"name", "type", "dims", "bytes", "offset", split ? "file" : ""});
  for (const IndexedTensor& tensor : index.tensors()) {
    table.AddRow({Printable(tensor.name), std::string(NameOf(tensor.dtype)),
                  DimsText(tensor.dims, tensor.n_dims), std::to_string(tensor.extent.bytes),
                  std::to_string(tensor.extent.offset),
                  split ? std::to_string(tensor.extent.file) : ""});
  }
  return table.Format(2);
}

std::string FormatText(const GgufFile& file) {
  if (file.format == FileFormat::kSafetensors) return "safetensors";
  return fmt::format("GGUF v{}", file.version);
}

std::string InspectText(const TensorIndex& index, const ModelTotals& totals, bool with_tensors) {
  using enum Table::Align;
  std::string out;
  for (const GgufFile& file : index.files()) {
    out += fmt::format("file     {}  {}, {}, {} tensors, data from byte {}, aligned to {}\n",
                       file.label, FormatText(file), FormatBytes(file.file_bytes),
                       file.tensors.size(), file.data_offset, file.alignment);
  }
  out += fmt::format("tensors  {}  {} parameters, {}, {:.2f} bits per weight\n",
                     index.tensors().size(), FormatCount(totals.all.parameters),
                     FormatBytes(totals.all.bytes), totals.BitsPerWeight());
  Table types({kLeft, kLeft, kRight, kRight, kRight});
  for (const auto& [type, total] : totals.types) {
    types.AddRow({"type   ", std::string(NameOf(type)), fmt::format("{} tensors", total.tensors),
                  FormatCount(total.parameters) + " parameters", FormatBytes(total.bytes)});
  }
  out += types.Format();
  Table metadata({kLeft, kLeft, kLeft});
  for (const MetaEntry& entry : index.metadata().entries()) {
    metadata.AddRow({Printable(entry.key), TypeText(entry), ValueText(entry)});
  }
  out += fmt::format("\nmetadata ({} keys)\n{}", index.metadata().entries().size(),
                     metadata.Format(2));
  if (with_tensors) {
    out += fmt::format("\ntensors ({})\n{}", index.tensors().size(), TensorTable(index));
  }
  return out;
}

Status Inspect(const InspectOptions& options) {
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const ModelSource source, OpenSource(path));
  const TensorIndex& index = source.index;
  const ModelTotals totals = TotalsOf(index);
  if (options.json) return WriteJson(InspectJson(index, totals, options));
  return WriteStdout(InspectText(index, totals, !options.no_tensors));
}

}  // namespace

void AddInspectCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command =
      app.add_subcommand("inspect", "Metadata and tensors of a model")->group(kGroupModel);
  AddModelOptions(*command, options->model);
  command->add_flag("--json", options->json, "as JSON");
  command->add_flag("--all", options->all, "with --json: all elements of arrays, not the first 8");
  command->add_flag("--no-tensors", options->no_tensors, "without the list of tensors");
  command->footer("example:\n  llm-run inspect -m model.gguf --no-tensors");
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Inspect(*options)); }; });
}

}  // namespace llmrun
