// Options that several subcommands share, the environment variables behind them (LLMRUN_* first,
// then those of llama.cpp), and how they become the options of the libraries. Flags beat the
// environment, the environment beats the default.
// Threads: before any thread is started.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "loader/load_options.h"

namespace llmrun {

// A range of whole numbers that --help does not spell out beside the option's type.
CLI::Validator PlainRange(int least, int most);

// When the option is not given, its value is that of the first of these variables that is set.
void FromEnvironment(CLI::Option* option, std::initializer_list<const char*> variables);

// "4096", "512K", "4M", "1G", "4MiB": binary units. kUsage otherwise.
Result<uint64_t> ParseSize(std::string_view text);

struct ModelOptions {
  std::string path;        // of -m, or the environment's
  bool has_path = false;   // -m was typed
  std::string positional;  // without an option in front
  bool quiet = false;      // nothing is said about the shipped model

  // Empty: the shipped tiny model; "-": standard input.
  const std::string& given() const { return positional.empty() ? path : positional; }
};
// -m only; and -m or a positional argument.
void AddModelOption(CLI::App& command, ModelOptions& options);
void AddModelOptions(CLI::App& command, ModelOptions& options);
// The model to open, kUsage when two are given. Says so on stderr when it is the shipped one,
// unless it is to be quiet; kNoInput when that is not there.
// "-" stays what it is (see model_source.h), unless standard input is a file.
Result<std::string> ModelPath(const ModelOptions& options);
// The same for commands that need files; kUsage for "-".
Result<std::string> ModelFilePath(const ModelOptions& options);

// Where resident weights are kept: LLMRUN_RESIDENT_DIR, else the usual folder of this user.
std::string ResidentDir();

inline constexpr char kGroupLoading[] = "Loading";  // of --help

struct LoaderFlags {
  std::string loader;  // empty: by load_mode, no_mmap, direct_io, else auto
  std::string load_mode;
  bool mmap = false;
  bool no_mmap = false;
  bool direct_io = false;
  std::string hugepages = "auto";
  std::string hugepages_policy = "try";
  std::string numa = "auto";
  bool mlock = false;
  uint32_t io_depth = 0;  // 0: begin with LoadOptions' own, and tune
  std::string io_chunk;   // empty: LoadOptions' own
  std::string io_poll = "none";
  std::string repack = "on";
  std::string report;  // path for the JSON report, "-" for stdout, empty for none
};
void AddLoaderFlags(CLI::App& command, LoaderFlags& flags);
// Of --numa=: ours, and llama.cpp's words. Failure: kUsage.
Result<NumaPolicy> ParseNuma(const std::string& text);
// Of an option of this name. Failure: kUsage.
Result<bool> ParseOnOff(const char* flag, const std::string& text);
// --report, for the commands that load.
void AddReportFlag(CLI::App& command, LoaderFlags& flags);
// kUsage for values that mean nothing, kUnavailable for what is planned but not there yet.
Result<LoadOptions> MakeLoadOptions(const LoaderFlags& flags);

}  // namespace llmrun
