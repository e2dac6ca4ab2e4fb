#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace llmrun::tidy {
namespace {

constexpr const char* kFolders[] = {"base",  "memory", "sched", "loader", "compute", "text",
                                    "model", "serve",  "cli",   "bench",  "tests"};

std::vector<std::string> ReadLines(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A line that can be the first of a function: no end of a statement, no comment, no preprocessor.
bool MayBeginFunction(const std::string& line) {
  if (line.ends_with(";") || line.ends_with("}") || line.ends_with(":")) return false;
  const std::string text = line.substr(line.find_first_not_of(' '));
  for (const char* other : {"#", "//", "}", "namespace", "struct ", "class ", "enum ", "union "}) {
    if (text.starts_with(other)) return false;
  }
  return true;
}

// The line that opens a body: "... {" after a parameter list, on one line or on its last one.
bool OpensBody(const std::string& line) {
  return line.ends_with("{") && line.find(" = {") == std::string::npos;
}

}  // namespace

std::vector<SourceFile> ReadSourceTree(const std::string& root) {
  namespace fs = std::filesystem;
  std::vector<SourceFile> files;
  for (const char* folder : kFolders) {
    if (!fs::exists(fs::path(root) / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      files.push_back({fs::relative(entry.path(), root), folder, ReadLines(entry.path())});
    }
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

std::vector<Function> FindFunctions(const SourceFile& file) {
  std::vector<Function> functions;
  for (size_t indent : {size_t{0}, size_t{2}}) {
    const std::string close = std::string(indent, ' ') + "}";
    size_t begin = file.lines.size();  // of the declaration that may turn out to be a function
    bool parameters = false;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      const size_t column = line.find_first_not_of(' ');
      if (column == std::string::npos) continue;
      if (column == indent) {
        begin = MayBeginFunction(line) ? i : file.lines.size();
        parameters = false;
      }
      if (begin == file.lines.size() || column < indent) continue;
      parameters = parameters || line.find('(') != std::string::npos;
      if (!parameters || !OpensBody(line)) continue;
      size_t end = i + 1;
      while (end < file.lines.size() && !file.lines[end].starts_with(close)) ++end;
      functions.push_back(
          {file.lines[begin], static_cast<int>(begin) + 1, static_cast<int>(end - begin) + 1});
      begin = file.lines.size();
      i = end;
    }
  }
  return functions;
}

}  // namespace llmrun::tidy
