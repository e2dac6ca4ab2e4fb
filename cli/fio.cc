#include "cli/fio.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/small_file.h"
#include "base/units.h"
#include "cli/child_process.h"

namespace llmrun {
namespace {

constexpr uint64_t kFioBlockBytes = 4 * kMiB;
constexpr uint64_t kFioDepth = 16;
constexpr uint64_t kLeastFioBytes = 256 * kMiB;
constexpr uint64_t kFioBufferBytes = kFioBlockBytes * kFioDepth;
// fio adds a page for alignment.
constexpr uint64_t kFioHugePages = kFioBufferBytes / (2 * kMiB) + 1;

// All files as one argument; fio takes ':' for the end of a name.
std::string FileNames(const TensorIndex& index) {
  std::string names;
  for (const GgufFile& file : index.files()) {
    if (!names.empty()) names += ':';
    for (const char c : file.label) {
      if (c == ':' || c == '\\') names += '\\';
      names += c;
    }
  }
  return names;
}

// Small files are read in smaller pieces: fio reads whole blocks only.
uint64_t BlockBytes(const TensorIndex& index) {
  uint64_t smallest = kFioBlockBytes;
  for (const GgufFile& file : index.files()) smallest = std::min(smallest, file.file_bytes);
  return std::max<uint64_t>(smallest / (4 * kKiB), 1) * 4 * kKiB;
}

// Small files are read several times: fio's clock counts milliseconds.
uint64_t Loops(const TensorIndex& index) {
  constexpr uint64_t kMostLoops = 1000;
  return std::clamp<uint64_t>(kLeastFioBytes / std::max<uint64_t>(index.total_bytes(), 1), 1,
                              kMostLoops);
}

// Bytes that a line such as "AnonHugePages:   65536 kB" of a process's smaps_rollup tells.
uint64_t RollupBytes(pid_t pid, std::string_view field) {
  const Result<std::string> text = ReadSmallFile(fmt::format("/proc/{}/smaps_rollup", pid));
  if (!text) return 0;
  const size_t at = text->find(field);
  if (at == std::string::npos) return 0;
  return std::strtoull(text->c_str() + at + field.size(), nullptr, 10) * kKiB;
}

struct FioOutcome {
  double bytes_per_second = 0;
  std::string version;
  uint64_t huge_bytes = 0;  // most that were seen of its memory in huge pages
};

Result<FioOutcome> RunFioOnce(const FioSetup& setup, const TensorIndex& index, bool look) {
  FioOutcome outcome;
  std::vector<std::string> variables;
  if (setup.pages == "THP") variables.emplace_back("GLIBC_TUNABLES=glibc.malloc.hugetlb=1");
  const auto look_at_pages = [&outcome](pid_t pid) {
    const uint64_t bytes = RollupBytes(pid, "AnonHugePages:") +
                           RollupBytes(pid, "Private_Hugetlb:") +
                           RollupBytes(pid, "Shared_Hugetlb:");
    outcome.huge_bytes = std::max(outcome.huge_bytes, bytes);
  };
  ASSIGN_OR_RETURN(
      const ChildResult result,
      RunChild({setup.program, "--name=read", "--filename=" + FileNames(index), "--readonly",
                "--rw=read", "--direct=1", fmt::format("--bs={}", setup.block_bytes),
                fmt::format("--iodepth={}", kFioDepth), fmt::format("--loops={}", Loops(index)),
                "--ioengine=" + setup.engine, "--iomem=" + setup.memory,
                "--file_service_type=sequential", "--thread", "--output-format=json"},
               variables, look ? look_at_pages : std::function<void(pid_t)>()));
  if (result.exit_code != 0) {
    return MakeError(ErrorCode::kUnavailable, "fio ({}): {}", setup.engine, WhyChildFailed(result));
  }
  // Remarks may stand before the document.
  const size_t begin = std::min(result.out.find('{'), result.out.size());
  const Json json = Json::parse(result.out.substr(begin), nullptr, false);
  const Json::json_pointer rate("/jobs/0/read/bw_bytes");
  if (!json.is_object() || !json.contains(rate) || json[rate].get<double>() <= 0) {
    return MakeError(ErrorCode::kUnavailable, "fio ({}) did not say how fast it read",
                     setup.engine);
  }
  outcome.bytes_per_second = json[rate].get<double>();
  outcome.version = json.value("fio version", "fio");
  return outcome;
}

void ChooseFioMemory(const Machine& machine, FioSetup* setup) {
  uint64_t free_2m = 0;
  for (const NumaNode& node : machine.nodes) free_2m += node.pool_2m.free_pages;
  setup->memory = free_2m >= kFioHugePages ? "mmaphuge" : "malloc";
  setup->pages = free_2m >= kFioHugePages                                        ? "2M"
                 : machine.thp_mode == "always" || machine.thp_mode == "madvise" ? "THP"
                                                                                 : "4K";
}

}  // namespace

Result<double> RunFio(const FioSetup& setup, const TensorIndex& index) {
  ASSIGN_OR_RETURN(const FioOutcome outcome, RunFioOnce(setup, index, false));
  return outcome.bytes_per_second;
}

Result<FioSetup> PrepareFio(const Machine& machine, const TensorIndex& index) {
  const std::optional<std::string> program = FindProgram("fio");
  if (!program)
    return MakeFixableError(ErrorCode::kUnavailable, "apt install fio", "fio not found");
  FioSetup setup;
  setup.program = *program;
  setup.block_bytes = BlockBytes(index);
  ChooseFioMemory(machine, &setup);
  Result<FioOutcome> outcome = RunFioOnce(setup, index, true);
  if (!outcome) {
    setup.engine = "libaio";
    outcome = RunFioOnce(setup, index, true);
  }
  RETURN_IF_ERROR(outcome);
  setup.version = outcome->version;
  // A run of a few milliseconds may end before its memory was looked at.
  const bool seen = outcome->huge_bytes > 0 || index.total_bytes() > 4 * kFioBufferBytes;
  if (seen && outcome->huge_bytes < kFioBufferBytes / 2) setup.pages = "4K";
  if (setup.pages == "4K") {
    Note(
        "note   wanted fio's buffers in huge pages, got 4K pages, in which it reads more slowly; "
        "fix: sudo llm-run hugepages reserve --size=2M --count={} --node=0",
        kFioHugePages);
  }
  return setup;
}

Json FioJson(const FioSetup& setup) {
  return {{"tool", setup.version}, {"engine", setup.engine}, {"block_bytes", setup.block_bytes},
          {"depth", kFioDepth},    {"iomem", setup.memory},  {"pages", setup.pages}};
}

}  // namespace llmrun
