// Writes seed files for the fuzz targets that read text: main() of NAME_corpus.cc calls it.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string_view>

namespace llmrun {

// Returns the exit code.
inline int WriteTextSeeds(int argc, char** argv, std::initializer_list<std::string_view> seeds) {
  if (argc != 2) {
    fmt::print(stderr, "usage: {} DIR\n", argv[0]);
    return 64;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  int number = 0;
  for (const std::string_view seed : seeds) {
    std::ofstream out(std::filesystem::path(argv[1]) / fmt::format("seed_{}", number++),
                      std::ios::binary);
    out << seed;
    if (!out.flush()) {
      fmt::print(stderr, "{}: cannot write to {}\n", argv[0], argv[1]);
      return 71;
    }
  }
  return 0;
}

}  // namespace llmrun
