// Headers include what they name of the standard library: the precompiled headers of a build, or
// whatever a source includes first, would hide what is missing.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "tests/tidy/source_tree.h"

namespace llmrun::tidy {
namespace {

// name -> the headers that give it, any of which will do.
const std::map<std::string, std::set<std::string>> kHeadersOf = {
    {"array", {"array"}},
    {"atomic", {"atomic"}},
    {"bit_cast", {"bit"}},
    {"byte", {"cstddef"}},
    {"condition_variable", {"condition_variable"}},
    {"deque", {"deque"}},
    {"exchange", {"utility"}},
    {"forward", {"utility"}},
    {"function", {"functional"}},
    {"initializer_list", {"initializer_list"}},
    {"jthread", {"thread"}},
    {"map", {"map"}},
    {"max", {"algorithm"}},
    {"memcpy", {"cstring"}},
    {"memory_order_acquire", {"atomic"}},
    {"memory_order_relaxed", {"atomic"}},
    {"memory_order_release", {"atomic"}},
    {"min", {"algorithm"}},
    {"move", {"utility"}},
    {"mutex", {"mutex"}},
    {"nullopt", {"optional"}},
    {"optional", {"optional"}},
    {"pair", {"utility", "map"}},
    {"set", {"set"}},
    {"shared_ptr", {"memory"}},
    {"sort", {"algorithm"}},
    {"span", {"span"}},
    {"string", {"string"}},
    {"string_view", {"string_view"}},
    {"thread", {"thread"}},
    {"tuple", {"tuple"}},
    {"unique_ptr", {"memory"}},
    {"unordered_map", {"unordered_map"}},
    {"variant", {"variant"}},
    {"vector", {"vector"}},
};

struct Names {
  std::map<std::string, size_t> used;  // name -> first line
  std::set<std::string> included;
};

Names NamesIn(const SourceFile& file) {
  const std::regex include(R"(^#include <([a-z_]+)>)");
  const std::regex name(R"(\bstd::([a-z_0-9]+))");
  Names names;
  for (size_t i = 0; i < file.lines.size(); ++i) {
    const std::string code = file.lines[i].substr(0, file.lines[i].find("//"));
    std::smatch match;
    if (std::regex_search(code, match, include)) names.included.insert(match[1]);
    for (std::sregex_iterator it(code.begin(), code.end(), name), end; it != end; ++it) {
      names.used.emplace((*it)[1], i + 1);
    }
  }
  return names;
}

TEST(Tidy, HeadersIncludeWhatTheyNameOfTheStandardLibrary) {
  for (const SourceFile& file : ReadSourceTree(LLMRUN_SOURCE_DIR)) {
    if (!file.IsHeader() || file.folder == "tests" || file.folder == "bench") continue;
    const Names names = NamesIn(file);
    for (const auto& [name, line] : names.used) {
      const auto wanted = kHeadersOf.find(name);
      if (wanted == kHeadersOf.end()) continue;
      const bool found = std::ranges::any_of(
          wanted->second, [&](const std::string& h) { return names.included.contains(h); });
      EXPECT_TRUE(found) << file.path << ":" << line << ": std::" << name << " wants #include <"
                         << *wanted->second.begin() << ">";
    }
  }
}

}  // namespace
}  // namespace llmrun::tidy
