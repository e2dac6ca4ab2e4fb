// Runs the llm-run of this build as a user would, for the tests of the command line.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/gguf_builder.h"
#include "tests/support/run_process.h"

namespace llmrun {

inline constexpr char kBinary[] = LLMRUN_BINARY_DIR "/bin/llm-run";
inline constexpr char kTinyModel[] = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-q8_0.gguf";

// A path in a directory of this process, removed with it.
inline std::string TempPath(const std::string& name) {
  struct Directory {
    std::string path = testing::TempDir() + "llmrun-cli-test-" + std::to_string(::getpid());
    Directory() { std::filesystem::create_directories(path); }
    ~Directory() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Directory directory;
  return directory.path + "/" + name;
}

// What it measures is kept with this process' files, unless `env` says otherwise.
inline ProcessResult Llm(std::vector<std::string> args,
                         std::vector<std::pair<std::string, std::string>> env = {}) {
  ProcessOptions options;
  options.args = {kBinary};
  options.args.insert(options.args.end(), args.begin(), args.end());
  options.env = {{"XDG_CACHE_HOME", TempPath("cache")}};
  options.env.insert(options.env.end(), env.begin(), env.end());
  return RunProcess(options);
}

inline std::string WriteModel(const std::string& name, const std::vector<std::byte>& bytes) {
  const std::string path = TempPath(name);
  EXPECT_TRUE(WriteFile(path, bytes));
  return path;
}

// Whether an unfinished file (loader/io/output_file.h) lies beside `path`.
inline bool HasUnfinished(const std::string& path) {
  const std::filesystem::path whole = path;
  for (const auto& file : std::filesystem::directory_iterator(whole.parent_path())) {
    const std::string name = file.path().filename().string();
    if (name.starts_with(whole.filename().string() + ".") && name.ends_with(".tmp")) return true;
  }
  return false;
}

// One line that begins as errors do, and the exit code.
inline void ExpectError(const ProcessResult& result, int exit_code, const std::string& part) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, testing::HasSubstr("llm-run: error: "));
  EXPECT_THAT(result.err, testing::HasSubstr(part));
  const size_t error = std::min(result.err.find("llm-run: error: "), result.err.size());
  EXPECT_EQ(std::ranges::count(result.err.substr(error), '\n'), 1) << result.err;
}

}  // namespace llmrun
