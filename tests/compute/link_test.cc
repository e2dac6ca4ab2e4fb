// The linker keeps one copy of an inline function that several files define. If that were one
// compiled for AVX-512, machines without it would die far away from any kernel. So the object files
// of an instruction set may define nothing shared but what carries the name of that set.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace llmrun {
namespace {

std::vector<std::string> LinesOf(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::vector<std::string> lines;
  std::array<char, 8192> line{};
  while (pipe && std::fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    lines.emplace_back(line.data());
  }
  return lines;
}

TEST(Link, InstructionSetFilesShareNoInlineCode) {
  for (const std::string isa : {"avx2", "avxvnni", "avx512", "avx512bf16", "amx"}) {
    const std::string objects =
        fmt::format("{}/compute/CMakeFiles/compute.dir/kernels/{}/*.o", LLMRUN_BINARY_DIR, isa);
    // Mangled: nm cannot read all of clang's names of lambdas.
    const auto symbols = LinesOf("nm --defined-only " + objects + " 2>/dev/null");
    const std::string name = fmt::format("{}{}", isa.size(), isa);
    if (symbols.empty()) GTEST_SKIP() << "no nm, or no objects at " << objects;
    size_t kernels = 0;
    for (const std::string& symbol : symbols) {
      const bool ours = symbol.find(name) != std::string::npos;
      kernels += ours;
      const bool weak_code = symbol.find(" W ") != std::string::npos;
      EXPECT_TRUE(ours || !weak_code) << isa << ": " << symbol;
    }
    EXPECT_GT(kernels, 10U);
  }
}

}  // namespace
}  // namespace llmrun
