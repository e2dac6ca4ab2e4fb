// llm-run verify: reads a model as `run` would and looks at every value. That every tensor lies
// within its file is checked before anything is read, when the file is opened.

#include <xxhash.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/common_options.h"
#include "cli/describe.h"
#include "cli/device_limit.h"
#include "cli/model_source.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/tensor_check.h"
#include "cli/thread_options.h"
#include "cli/workers.h"
#include "loader/weights.h"
#include "memory/machine.h"
#include "sched/thread_pool.h"

namespace llmrun {
namespace {

struct VerifyOptions {
  ModelOptions model;
  LoaderFlags loader;
  int threads = 0;  // 0: one a core
  bool json = false;
};

struct Verdict {
  std::vector<TensorCheck> checks;  // index = TensorId
  uint64_t xxh3 = 0;
  LoadReport report;
};

// Largest tensors first, each one to whichever thread is free.
Result<std::vector<TensorCheck>> CheckAll(const Weights& weights, ThreadPool& pool) {
  const std::vector<IndexedTensor>& tensors = weights.index().tensors();
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](uint32_t i) { return tensors[i].extent.bytes; });
  std::vector<Result<TensorCheck>> results(tensors.size());
  std::atomic<size_t> next = 0;
  pool.Run([&](int) {
    for (size_t i = next++; i < order.size(); i = next++) {
      const UnpackedTensor tensor = weights.Unpacked(TensorId{order[i]});
      results[order[i]] = CheckTensor(tensor.pieces);
    }
  });
  std::vector<TensorCheck> checks;
  for (const Result<TensorCheck>& result : results) {
    if (!result) return tl::unexpected<Error>(result.error());
    checks.push_back(*result);
  }
  return checks;
}

// As HashAll() (loader/weights.h) defines it.
uint64_t HashOfHashes(const std::vector<TensorCheck>& checks) {
  std::vector<uint64_t> hashes;
  for (const TensorCheck& check : checks) hashes.push_back(check.xxh3);
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

Result<Verdict> CheckTensors(const VerifyOptions& options, const ModelSource& source) {
  ASSIGN_OR_RETURN(LoadOptions load, MakeLoadOptions(options.loader));
  load.stream = source.stream.get();
  load.pack = false;
  load.hash = false;  // done below, together with looking at the values
  if (load.loader == LoaderKind::kAuto) load.resident_dir.clear();  // the file is in question
  ASSIGN_OR_RETURN(const Machine machine, ThisMachine());
  ProgressBar bar("load");
  load.progress = [&bar](const LoadProgress& p) {
    bar.Update(p.bytes_done, p.bytes_total, p.seconds);
  };
  ASSIGN_OR_RETURN(const auto weights, StartLoad(source.index, machine, load));
  Verdict verdict;
  ASSIGN_OR_RETURN(verdict.report, weights->Finish());
  verdict.report.device_bytes_per_s = KnownDeviceLimit(source.index, DeviceLimitFile());
  bar.Clear();
  ASSIGN_OR_RETURN(const auto pool, MakePool(machine, weights->plan().nodes, options.threads));
  ASSIGN_OR_RETURN(verdict.checks, CheckAll(*weights, *pool));
  verdict.xxh3 = HashOfHashes(verdict.checks);
  verdict.report.xxh3 = verdict.xxh3;
  verdict.report.hashed = true;
  return verdict;
}

std::string WordFor(const TensorCheck& check) {
  if (check.not_finite > 0) return "BAD";
  return check.values_checked ? "ok" : "hashed";
}

std::string VerifyText(const TensorIndex& index, const Verdict& verdict) {
  using enum Table::Align;
  Table table({kLeft, kLeft, kLeft, kRight, kLeft, kLeft});
  uint64_t unchecked = 0;
  for (size_t i = 0; i < index.tensors().size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const TensorCheck& check = verdict.checks[i];
    unchecked += check.values_checked ? 0 : 1;
    table.AddRow({WordFor(check), Printable(tensor.name), std::string(NameOf(tensor.dtype)),
                  DimsText(tensor.dims, tensor.n_dims), FormatHash(check.xxh3),
                  check.first ? fmt::format("{} not finite, first: {}", check.not_finite,
                                            DescribeNotFinite(*check.first))
                              : ""});
  }
  std::string out = table.Format();
  out += fmt::format("total   {} tensors, {}, xxh3 {}\n", index.tensors().size(),
                     FormatBytes(index.total_bytes()), FormatHash(verdict.xxh3));
  if (unchecked > 0) {
    out += fmt::format(
        "note    {} tensors of types without a decoder here: hashed, values not "
        "looked at\n",
        unchecked);
  }
  return out;
}

Json VerifyJson(const TensorIndex& index, const Verdict& verdict, bool ok) {
  Json tensors = Json::array();
  for (size_t i = 0; i < index.tensors().size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    const TensorCheck& check = verdict.checks[i];
    Json json = {{"name", tensor.name},
                 {"type", NameOf(tensor.dtype)},
                 {"bytes", tensor.extent.bytes},
                 {"xxh3", FormatHash(check.xxh3)},
                 {"values_checked", check.values_checked},
                 {"not_finite", check.not_finite}};
    if (check.first) {
      json["first"] = {{"row", check.first->row},
                       {"element", check.first->element},
                       {"value", fmt::format("{}", check.first->value)}};
    }
    tensors.push_back(json);
  }
  return {{"ok", ok},
          {"model", index.files().front().label},
          {"xxh3", FormatHash(verdict.xxh3)},
          {"tensors", tensors},
          {"load", ReportJson(verdict.report)}};
}

Status Judge(const TensorIndex& index, const Verdict& verdict) {
  uint64_t bad_tensors = 0;
  size_t first = 0;
  for (size_t i = verdict.checks.size(); i-- > 0;) {
    if (verdict.checks[i].not_finite == 0) continue;
    ++bad_tensors;
    first = i;
  }
  if (bad_tensors == 0) return {};
  const IndexedTensor& tensor = index.tensors()[first];
  return MakeFixableError(
      ErrorCode::kBadData, "get the file again, or convert it again",
      "{}: {} of {} tensors hold values that are not finite; tensor '{}': {}, and {} more",
      index.files()[tensor.extent.file].label, bad_tensors, verdict.checks.size(), tensor.name,
      DescribeNotFinite(*verdict.checks[first].first), verdict.checks[first].not_finite - 1);
}

Status Verify(const VerifyOptions& options) {
  ASSIGN_OR_RETURN(const std::string path, ModelPath(options.model));
  ASSIGN_OR_RETURN(const ModelSource source, OpenSource(path));
  const TensorIndex& index = source.index;
  ASSIGN_OR_RETURN(const Verdict verdict, CheckTensors(options, source));
  NoteLine(ReportText(verdict.report));
  const Status judged = Judge(index, verdict);
  RETURN_IF_ERROR(options.json ? WriteJson(VerifyJson(index, verdict, judged.has_value()))
                               : WriteStdout(VerifyText(index, verdict)));
  if (!options.loader.report.empty()) {
    RETURN_IF_ERROR(WriteJsonTo(ReportJson(verdict.report), options.loader.report));
  }
  return judged;
}

}  // namespace

void AddVerifyCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand("verify", "Read every tensor: ranges, hashes, NaN and Inf")
                          ->group(kGroupModel);
  AddModelOptions(*command, options->model);
  AddThreadsOption(*command, options->threads);
  AddLoaderFlags(*command, options->loader);
  AddReportFlag(*command, options->loader);
  command->add_flag("--json", options->json, "as JSON");
  command->footer(
      "Exits with 65 when something is wrong.\n"
      "example:\n  llm-run verify -m model.gguf --loader=io_uring");
  command->callback(
      [options, &context] { context.action = [options] { return Finish(Verify(*options)); }; });
}

}  // namespace llmrun
