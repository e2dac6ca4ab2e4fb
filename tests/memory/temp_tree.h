// A directory for a test, to stand in for /proc and /sys; removed at the end.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace llmrun {

class TempTree {
 public:
  TempTree() : root_(testing::TempDir() + "/llmrun-tree-XXXXXX") {
    if (mkdtemp(root_.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << root_;
  }
  ~TempTree() { std::filesystem::remove_all(root_); }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;

  const std::string& root() const { return root_; }
  std::string Path(const std::string& relative) const { return root_ + "/" + relative; }

  void Write(const std::string& relative, const std::string& text) const {
    const std::filesystem::path path = Path(relative);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  std::string Read(const std::string& relative) const {
    std::ifstream file(Path(relative));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  std::string root_;
};

}  // namespace llmrun
