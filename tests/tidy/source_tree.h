// The project's own sources as text, for the tests that enforce the rules of docs/STYLE.md.
#pragma once

#include <string>
#include <vector>

namespace llmrun::tidy {

struct SourceFile {
  std::string path;    // from the root of the tree, "loader/plan/read_plan.cc"
  std::string folder;  // its first component, "loader"
  std::vector<std::string> lines;
  bool IsHeader() const { return path.ends_with(".h"); }
};

// Every .h and .cc of the folders of code, in order of path. `root` is the top of the tree.
std::vector<SourceFile> ReadSourceTree(const std::string& root);

struct Function {
  std::string signature;  // the line that opens the body
  int first_line = 0;     // 1-based
  int lines = 0;          // from the signature to the closing brace
};

// Functions whose closing brace stands in the column of their beginning, at namespace level (column
// 0) or as class members (column 2): the layout that clang-format makes.
std::vector<Function> FindFunctions(const SourceFile& file);

}  // namespace llmrun::tidy
