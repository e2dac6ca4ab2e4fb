// The rules of docs/STYLE.md that a machine can check. Length limits are a ratchet: a file or
// function that is longer today stands in a list below with its length, which may only shrink.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "tests/tidy/source_tree.h"

namespace llmrun::tidy {
namespace {

constexpr int kSourceLinesMax = 400;
constexpr int kHeaderLinesMax = 200;
constexpr int kFunctionLinesMax = 70;

// path -> lines it may have. Shrink and delete; never raise.
const std::map<std::string, int> kLongFiles = {};
// "path:signature" -> lines it may have.
const std::map<std::string, int> kLongFunctions = {};

const std::vector<SourceFile>& Tree() {
  static const std::vector<SourceFile> tree = ReadSourceTree(LLMRUN_SOURCE_DIR);
  return tree;
}

std::string At(const SourceFile& file, size_t line) {
  return file.path + ":" + std::to_string(line + 1);
}

// Who may include whom: each folder names everything that stands to its left.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {"base"}},
    {"memory", {"base", "memory"}},
    {"sched", {"base", "memory", "sched"}},
    {"loader", {"base", "memory", "sched", "loader"}},
    {"compute", {"base", "memory", "sched", "loader", "compute"}},
    {"text", {"base", "text"}},
    {"model", {"base", "memory", "sched", "loader", "compute", "text", "model"}},
    {"serve", {"base", "memory", "sched", "loader", "compute", "text", "model", "serve"}},
    {"cli", {"base", "memory", "sched", "loader", "compute", "text", "model", "serve", "cli"}},
};

TEST(Tidy, FoldersIncludeOnlyWhatStandsBelowThem) {
  const std::regex include(R"rx(^#include "([a-z_0-9]+)/)rx");
  for (const SourceFile& file : Tree()) {
    const auto allowed = kMayInclude.find(file.folder);
    if (allowed == kMayInclude.end()) continue;  // bench and tests may include all
    for (size_t i = 0; i < file.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(file.lines[i], match, include)) continue;
      EXPECT_TRUE(allowed->second.contains(match[1])) << At(file, i) << ": " << file.lines[i];
    }
  }
}

TEST(Tidy, IncludePathsStartAtTheRoot) {
  const std::regex include(R"rx(^#include "([^"]+)")rx");
  for (const SourceFile& file : Tree()) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      std::smatch match;
      if (!std::regex_search(file.lines[i], match, include)) continue;
      const std::string path = match[1];
      EXPECT_TRUE(path.find('/') != std::string::npos && !path.starts_with("."))
          << At(file, i) << ": " << file.lines[i];
    }
  }
}

TEST(Tidy, HeadersHaveAContractAndAGuard) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsHeader()) continue;
    ASSERT_FALSE(file.lines.empty()) << file.path;
    EXPECT_TRUE(file.lines[0].starts_with("// ")) << file.path << ": begin with what it is";
    EXPECT_NE(std::ranges::find(file.lines, "#pragma once"), file.lines.end()) << file.path;
  }
}

// So that compiling a source proves that its header needs nothing before it.
TEST(Tidy, SourcesIncludeTheirOwnHeaderFirst) {
  std::set<std::string> headers;
  for (const SourceFile& file : Tree()) {
    if (file.IsHeader()) headers.insert(file.path);
  }
  for (const SourceFile& file : Tree()) {
    if (file.IsHeader() || file.folder == "bench" || file.folder == "tests") continue;
    const std::string own = file.path.substr(0, file.path.rfind('.')) + ".h";
    if (!headers.contains(own)) continue;
    const auto first = std::ranges::find_if(
        file.lines, [](const std::string& line) { return line.starts_with("#include"); });
    ASSERT_NE(first, file.lines.end()) << file.path;
    EXPECT_EQ(*first, "#include \"" + own + "\"") << file.path;
  }
}

TEST(Tidy, FilesKeepTheirLength) {
  for (const SourceFile& file : Tree()) {
    if (file.folder == "tests" || file.folder == "bench") continue;
    int limit = file.IsHeader() ? kHeaderLinesMax : kSourceLinesMax;
    if (const auto it = kLongFiles.find(file.path); it != kLongFiles.end()) limit = it->second;
    EXPECT_LE(static_cast<int>(file.lines.size()), limit) << file.path;
  }
}

TEST(Tidy, FunctionsKeepTheirLength) {
  for (const SourceFile& file : Tree()) {
    if (file.folder == "tests" || file.folder == "bench") continue;
    for (const Function& function : FindFunctions(file)) {
      int limit = kFunctionLinesMax;
      const auto it = kLongFunctions.find(file.path + ":" + function.signature);
      if (it != kLongFunctions.end()) limit = it->second;
      EXPECT_LE(function.lines, limit)
          << file.path << ":" << function.first_line << ": " << function.signature;
    }
  }
}

// A word that must not appear, and the folders where it may.
struct Ban {
  const char* pattern;
  std::set<std::string> allowed_in;
  const char* why;
};

TEST(Tidy, BannedWordsStayOut) {
  const Ban bans[] = {
      {R"(\bassert\()", {}, "input gets an Error, invariants get CHECK"},
      {R"(\bstd::regex\b)", {"tests"}, "recurses on input; use PCRE2 with limits"},
      {R"(\bstd::cout\b|\bstd::cerr\b|\b(printf|puts|fputs|putchar)\()",
       {"cli", "bench", "tests"},
       "libraries return values, they do not print"},
      {R"(\bgetenv\()", {"cli", "bench", "tests"}, "the environment is read by cli"},
      {R"(\b(exit|_exit|quick_exit)\()", {"cli", "bench", "tests"}, "libraries do not exit"},
      {R"(\bthrow\b)", {"tests"}, "errors are values"},
      {R"(\bFIXME\b)", {}, "mend it"},
      {R"(\bTODO\b(?!\([a-z]))", {}, "a TODO has an owner"},
      {R"((^|[^A-Za-z0-9_.])/(home|root|work|Users)/)", {}, "no path of one machine"},
      {R"(march=native)", {}, "one portable binary"},
  };
  for (const Ban& ban : bans) {
    const std::regex pattern(ban.pattern);
    for (const SourceFile& file : Tree()) {
      if (file.path.starts_with("tests/tidy/") || ban.allowed_in.contains(file.folder)) continue;
      for (size_t i = 0; i < file.lines.size(); ++i) {
        const std::string code = file.lines[i];
        EXPECT_FALSE(std::regex_search(code, pattern)) << At(file, i) << ": " << ban.why << "\n"
                                                       << code;
      }
    }
  }
}

TEST(Tidy, CheckIsTheOnlyPlaceWhereALibraryPrints) {
  const std::regex fprintf_call(R"(\bfprintf\()");
  for (const SourceFile& file : Tree()) {
    if (std::set<std::string>{"cli", "bench", "tests"}.contains(file.folder)) continue;
    if (file.path == "base/check.cc") continue;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(file.lines[i], fprintf_call)) << At(file, i);
    }
  }
}

TEST(Tidy, PureRoomsMakeNoSystemCalls) {
  const std::regex system_header(
      R"(^#include <(sys/|unistd|fcntl|linux/|liburing|hwloc|thread|mutex|fstream))");
  for (const SourceFile& file : Tree()) {
    if (!file.path.starts_with("loader/gguf/") && !file.path.starts_with("loader/plan/") &&
        !file.path.starts_with("loader/index/") && !file.path.starts_with("loader/safetensors/")) {
      continue;
    }
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(file.lines[i], system_header)) << At(file, i);
    }
  }
}

TEST(Tidy, PlatformConditionsStandOnlyInFilesNamedForThem) {
  const std::regex condition(R"(^\s*#\s*if.*(__AVX|__SSE|__FMA|__x86_64__|__aarch64__|__linux__))");
  const std::regex name(
      R"(cpu_features|cpu_relax|monitor_wait|_linux|no_[a-z]+\.(cc|h)$|kernels/)");
  for (const SourceFile& file : Tree()) {
    if (std::regex_search(file.path, name)) continue;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(file.lines[i], condition)) << At(file, i);
    }
  }
}

// Inline code of the standard library compiled with AVX-512 flags could be the copy that the linker
// keeps for everybody.
TEST(Tidy, IsaFilesUseNoContainers) {
  const std::regex container(
      R"(^#include <(vector|string|map|unordered_map|memory|functional|algorithm|span|optional|thread|mutex|fmt/))");
  for (const SourceFile& file : Tree()) {
    if (!file.path.starts_with("compute/kernels/a")) continue;  // avx*, amx
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(std::regex_search(file.lines[i], container)) << At(file, i);
    }
  }
}

TEST(Tidy, LinesFitIntoOneHundredColumns) {
  for (const SourceFile& file : Tree()) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      if (file.lines[i].find("R\"") != std::string::npos || file.path.starts_with("tests/"))
        continue;
      size_t columns = 0;
      for (const char c : file.lines[i]) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
      EXPECT_LE(columns, 100U) << At(file, i);
    }
  }
}

// The checks above must be able to fail.
TEST(TidySelf, FindsFunctionsAndTheirLength) {
  const SourceFile file{"base/x.cc",
                        "base",
                        {"namespace llmrun {", "int F(int a,", "      int b) {", "  return a;", "}",
                         "class C {", "  int G() {", "    return 1;", "  }", "};", "}"}};
  const std::vector<Function> functions = FindFunctions(file);
  ASSERT_EQ(functions.size(), 2U);
  EXPECT_EQ(functions[0].first_line, 2);
  EXPECT_EQ(functions[0].lines, 4);
  EXPECT_EQ(functions[1].signature, "  int G() {");
  EXPECT_EQ(functions[1].lines, 3);
}

}  // namespace
}  // namespace llmrun::tidy
