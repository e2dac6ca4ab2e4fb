#include "cli/common_options.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/units.h"
#include "cli/output.h"
#include "loader/resident/store_dir.h"
#include "model/weight_packing.h"

namespace llmrun {
namespace {

constexpr char kShippedModel[] = "llm-run-tiny-q8_0.gguf";

std::optional<std::string> ShippedModelPath() {
  std::error_code ignored;
  const std::filesystem::path exe = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::filesystem::path places[] = {
      exe.parent_path().parent_path() / "share/llm-run/models" / kShippedModel,
      std::filesystem::path(LLMRUN_SOURCE_DIR) / "models" / kShippedModel,
  };
  for (const auto& place : places) {
    if (std::filesystem::exists(place, ignored)) return place.string();
  }
  return std::nullopt;
}

bool IsSet(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return false;
  const std::string_view text = value;
  return !text.empty() && text != "0" && text != "false" && text != "off";
}

// What the flags ask for, each of them alone.
struct LoaderWish {
  std::string flag;
  LoaderKind kind;
};

Result<std::vector<LoaderWish>> LoaderWishes(const LoaderFlags& flags) {
  std::vector<LoaderWish> wishes;
  if (!flags.loader.empty()) {
    const std::optional<LoaderKind> kind = ParseLoaderKind(flags.loader);
    if (!kind) {
      return MakeError(ErrorCode::kUsage,
                       "--loader={}: expected auto, mmap, read, io_uring, splice or resident",
                       flags.loader);
    }
    wishes.push_back({"--loader=" + flags.loader, *kind});
  }
  if (!flags.load_mode.empty()) {
    constexpr std::pair<std::string_view, LoaderKind> kModes[] = {
        {"auto", LoaderKind::kAuto},   {"none", LoaderKind::kRead},
        {"mmap", LoaderKind::kMmap},   {"mlock", LoaderKind::kRead},
        {"dio", LoaderKind::kIoUring}, {"mmap+mlock", LoaderKind::kMmap},
    };
    const auto* mode =
        std::ranges::find(kModes, flags.load_mode, [](const auto& pair) { return pair.first; });
    if (mode == std::end(kModes)) {
      return MakeError(ErrorCode::kUsage,
                       "--load-mode={}: expected auto, none, mmap, mlock, mmap+mlock or dio",
                       flags.load_mode);
    }
    wishes.push_back({"--load-mode=" + flags.load_mode, mode->second});
  }
  if (flags.mmap) wishes.push_back({"--mmap", LoaderKind::kMmap});
  if (flags.no_mmap) wishes.push_back({"--no-mmap", LoaderKind::kRead});
  if (flags.direct_io) wishes.push_back({"--direct-io", LoaderKind::kIoUring});
  return wishes;
}

Result<LoaderKind> ChooseLoader(const LoaderFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<LoaderWish> wishes, LoaderWishes(flags));
  for (const LoaderWish& wish : wishes) {
    // "not mmap" does not contradict the other ways of reading.
    const bool agrees = wish.kind == wishes.front().kind ||
                        (wish.flag == "--no-mmap" && wishes.front().kind != LoaderKind::kMmap);
    if (!agrees) {
      return MakeFixableError(ErrorCode::kUsage, "give one of them",
                              "{} and {} contradict each other", wishes.front().flag, wish.flag);
    }
  }
  if (!wishes.empty()) return wishes.front().kind;
  return IsSet("LLAMA_ARG_NO_MMAP") ? LoaderKind::kRead : LoaderKind::kAuto;
}

Result<IoPoll> NeedIoPoll(const std::string& text) {
  const std::optional<IoPoll> poll = ParseIoPoll(text);
  if (poll) return *poll;
  return MakeError(ErrorCode::kUsage, "--io-poll={}: expected none, sqpoll or iopoll", text);
}

// The first of these that is set and not empty; null: none.
const char* FirstSet(std::initializer_list<const char*> variables) {
  for (const char* variable : variables) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') return variable;
  }
  return nullptr;
}

}  // namespace

Result<NumaPolicy> ParseNuma(const std::string& text) {
  if (const std::optional<NumaPolicy> policy = ParseNumaPolicy(text)) return *policy;
  // llama.cpp's words: on all nodes, on the one we run on, as numactl set it up.
  if (text == "distribute") return NumaPolicy{.mode = NumaMode::kShard};
  if (text == "numactl") return NumaPolicy{};
  unsigned node = 0;
  if (text == "isolate" && ::getcpu(nullptr, &node) == 0) return BindTo(node);
  return MakeError(ErrorCode::kUsage,
                   "--numa={}: expected auto, off, bind:N, interleave, shard or mirror", text);
}

Result<bool> ParseOnOff(const char* flag, const std::string& text) {
  if (text == "on" || text == "off") return text == "on";
  return MakeError(ErrorCode::kUsage, "{}={}: expected on or off", flag, text);
}

CLI::Validator PlainRange(int least, int most) { return CLI::Range(least, most).description(""); }

void FromEnvironment(CLI::Option* option, std::initializer_list<const char*> variables) {
  const char* variable = FirstSet(variables);
  if (variable != nullptr) option->envname(variable);
}

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(stop, static_cast<size_t>(text.data() + text.size() - stop));
  uint64_t factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  if (unit == "K" || unit == "k" || unit == "KiB") factor = kKiB;
  if (unit == "M" || unit == "m" || unit == "MiB") factor = kMiB;
  if (unit == "G" || unit == "g" || unit == "GiB") factor = kGiB;
  uint64_t bytes = 0;
  if (error != std::errc() || factor == 0 || !CheckedMul(number, factor, &bytes)) {
    return MakeError(ErrorCode::kUsage, "'{}' is not a size: expected bytes, or 512K, 4M, 1G",
                     text);
  }
  return bytes;
}

void AddModelOption(CLI::App& command, ModelOptions& options) {
  const char* variable = FirstSet({"LLMRUN_MODEL", "LLAMA_ARG_MODEL"});
  if (variable != nullptr) options.path = std::getenv(variable);
  command
      .add_option_function<std::string>(
          "-m,--model",
          [&options](const std::string& path) {
            options.path = path;
            options.has_path = true;
          },
          "GGUF file, any part of a split one, - for stdin\n"
          "(default: the tiny model that comes with llm-run)")
      ->type_name("FILE");
}

void AddModelOptions(CLI::App& command, ModelOptions& options) {
  command.add_option("model_file", options.positional, "the model, instead of -m");
  AddModelOption(command, options);
}

Result<std::string> ModelPath(const ModelOptions& options) {
  if (options.has_path && !options.positional.empty()) {
    return MakeError(ErrorCode::kUsage, "two models are given: {} and -m {}", options.positional,
                     options.path);
  }
  const std::string& given = options.given();
  if (given == "-") {
    struct stat info = {};
    const bool is_file = ::fstat(STDIN_FILENO, &info) == 0 && S_ISREG(info.st_mode);
    return is_file ? "/proc/self/fd/0" : given;
  }
  if (!given.empty()) return given;
  const std::optional<std::string> shipped = ShippedModelPath();
  if (!shipped) {
    return MakeFixableError(ErrorCode::kNoInput, "-m MODEL.gguf, or set LLMRUN_MODEL",
                            "no model given, and the shipped {} is not installed", kShippedModel);
  }
  if (!options.quiet) Note("model  no -m given, using the shipped {}", *shipped);
  return *shipped;
}

Result<std::string> ModelFilePath(const ModelOptions& options) {
  ASSIGN_OR_RETURN(std::string path, ModelPath(options));
  if (path != "-") return path;
  return MakeFixableError(ErrorCode::kUsage, "save the model to a file, and name it with -m",
                          "-m -: this command needs a file, and standard input is none");
}

std::string ResidentDir() {
  const char* dir = std::getenv("LLMRUN_RESIDENT_DIR");
  return dir == nullptr || *dir == '\0' ? DefaultStoreDir() : dir;
}

void AddLoaderFlags(CLI::App& command, LoaderFlags& flags) {
  const auto add = [&](CLI::Option* option, const char* type) {
    option->type_name(type)->group(kGroupLoading);
    return option;
  };
  add(command.add_option("--loader", flags.loader,
                         "how bytes travel: auto, mmap, read, io_uring, splice, or\n"
                         "resident (llm-run resident load) (default: auto)"),
      "L");
  add(command.add_option("--hugepages", flags.hugepages,
                         "where they land: off, thp, 2M, 1G, auto (default: auto)"),
      "H");
  add(command.add_option("--hugepages-policy", flags.hugepages_policy,
                         "try: the best there is (default); require: exactly that or an error"),
      "P");
  add(command.add_option("--numa", flags.numa,
                         "on which NUMA nodes: off, bind:N; on all: interleave (page by\n"
                         "page), shard (rows dealt out), mirror (a copy each) (default: auto)"),
      "N");
  CLI::Option* mlock =
      command.add_flag("--mlock", flags.mlock, "lock the weights in memory")->group(kGroupLoading);
  FromEnvironment(mlock, {"LLMRUN_MLOCK", "LLAMA_ARG_MLOCK"});
  add(command.add_option(
          "--io-depth", flags.io_depth,
          "requests in flight with io_uring, 1 to 4096 (default: 16, tuned on large files)"),
      "N")
      ->check(PlainRange(1, 4096));
  add(command.add_option("--io-chunk", flags.io_chunk,
                         "largest single request (default: 4M, tuned likewise)"),
      "BYTES");
  add(command.add_option("--io-poll", flags.io_poll,
                         "with io_uring: none (default), sqpoll (a kernel thread submits) or\n"
                         "iopoll (no interrupts; the device needs poll queues)"),
      "P");
  add(command.add_option("--repack", flags.repack,
                         "on (default): rows are brought into the kernels' order where they lie,\n"
                         "while others arrive (not with mmap); off: they stay as in the file"),
      "R");
  command.add_flag("--mmap", flags.mmap, "as --loader=mmap")->group(kGroupLoading);
  command.add_flag("--no-mmap", flags.no_mmap, "as --loader=read")->group(kGroupLoading);
  command.add_flag("--direct-io", flags.direct_io, "as --loader=io_uring (also -dio)")
      ->group(kGroupLoading);
  add(command.add_option("--load-mode", flags.load_mode,
                         "llama.cpp's names: auto, none, mmap, mlock, mmap+mlock, dio (also -lm)"),
      "M");
}

void AddReportFlag(CLI::App& command, LoaderFlags& flags) {
  command.add_option("--report", flags.report, "write the load report as JSON, '-' for stdout")
      ->type_name("FILE")
      ->group(kGroupLoading);
}

Result<LoadOptions> MakeLoadOptions(const LoaderFlags& flags) {
  LoadOptions options;
  ASSIGN_OR_RETURN(options.loader, ChooseLoader(flags));
  const std::optional<HugePages> pages = ParseHugePages(flags.hugepages);
  if (!pages) {
    return MakeError(ErrorCode::kUsage, "--hugepages={}: expected off, thp, 2M, 1G or auto",
                     flags.hugepages);
  }
  const std::optional<HugePagesPolicy> policy = ParseHugePagesPolicy(flags.hugepages_policy);
  if (!policy) {
    return MakeError(ErrorCode::kUsage, "--hugepages-policy={}: expected try or require",
                     flags.hugepages_policy);
  }
  options.resident_dir = ResidentDir();
  options.hugepages = *pages;
  options.policy = *policy;
  ASSIGN_OR_RETURN(options.numa, ParseNuma(flags.numa));
  options.hash = !flags.report.empty();  // the report says what was loaded
  options.mlock = flags.mlock || flags.load_mode.ends_with("mlock");
  ASSIGN_OR_RETURN(options.io_poll, NeedIoPoll(flags.io_poll));
  options.packing = &WeightPacking();
  ASSIGN_OR_RETURN(options.pack, ParseOnOff("--repack", flags.repack));
  if (flags.io_depth > 0) options.queue_depth = flags.io_depth;
  options.tune = flags.io_depth == 0 && flags.io_chunk.empty();
  if (!flags.io_chunk.empty()) {
    ASSIGN_OR_RETURN(options.chunk_bytes, ParseSize(flags.io_chunk));
    constexpr uint64_t kLeast = 4 * kKiB;
    if (options.chunk_bytes < kLeast || options.chunk_bytes > kGiB) {
      return MakeError(ErrorCode::kUsage, "--io-chunk={}: expected 4K to 1G", flags.io_chunk);
    }
  }
  return options;
}

}  // namespace llmrun
