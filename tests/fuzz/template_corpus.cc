// template_corpus DIR: writes the seed files of template_fuzz: the templates and snippets that
// the tests know.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace llmrun {
namespace {

bool WriteTemplateSeeds(const std::filesystem::path& folder) {
  const std::filesystem::path data = LLMRUN_SOURCE_DIR "/tests/data/templates";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data, error)) {
    if (entry.path().extension() == ".jinja") {
      std::filesystem::copy_file(entry.path(), folder / entry.path().filename(), error);
    }
  }
  std::ifstream file(data / "snippets.json");
  const auto snippets = nlohmann::json::parse(file, nullptr, false);
  if (error || !snippets.is_object()) return false;
  int count = 0;
  for (const auto& source : snippets["sources"]) {
    std::ofstream out(folder / fmt::format("snippet_{}", count++));
    out << source.get<std::string>();
    if (!out) return false;
  }
  return count > 0;
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: template_corpus DIR\n");
    return 64;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  if (error || !llmrun::WriteTemplateSeeds(argv[1])) {
    fmt::print(stderr, "template_corpus: cannot write to {}\n", argv[1]);
    return 71;
  }
  return 0;
}
