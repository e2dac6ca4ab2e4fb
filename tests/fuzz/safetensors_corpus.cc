// safetensors_corpus DIR: writes the seed files of safetensors_fuzz.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "memory/dtype.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/safetensors_bytes.h"

namespace llmrun {
namespace {

constexpr char kShardIndex[] =
    R"({"metadata":{"total_size":8,"x":[null,true,-1,1.5,{}]},"weight_map":)"
    R"({"a":"m-00001-of-00002.safetensors","b":"m-00002-of-00002.safetensors"}})";

bool WriteSafetensorsSeeds(const std::filesystem::path& folder) {
  bool ok = true;
  const auto write = [&](const std::string& name, std::span<const std::byte> bytes) {
    ok = ok && WriteFile((folder / name).string(), bytes);
  };
  write("nothing", SafetensorsBytes("{}", 0));
  write("metadata", SafetensorsBytes(R"({"__metadata__":{"format":"pt","\u00e4":"\n"}}  )", 0));
  write("few", SafetensorsBytes(R"({"b":)" + SafetensorsEntry("F32", "[2,3]", 4, 28) + R"(,"a":)" +
                                    SafetensorsEntry("BF16", "[1,2,1,1]", 0, 4) + R"(,"s":)" +
                                    SafetensorsEntry("I64", "[]", 28, 36) + R"(,"none":)" +
                                    SafetensorsEntry("F16", "[7,0]", 4, 4) + "}",
                                36));
  for (const BlockTraits& traits : AllBlockTraits()) {
    const std::string entry =
        SafetensorsEntry(std::string(traits.name), "[1]", 0, traits.block_bytes);
    write(fmt::format("type_{}", traits.name),
          SafetensorsBytes("{\"t\":" + entry + "}", traits.block_bytes));
  }
  write("shard_index", std::as_bytes(std::span(kShardIndex).first(sizeof kShardIndex - 1)));
  return ok;
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: safetensors_corpus DIR\n");
    return 64;
  }
  std::error_code error;
  std::filesystem::create_directories(argv[1], error);
  if (error || !llmrun::WriteSafetensorsSeeds(argv[1])) {
    fmt::print(stderr, "safetensors_corpus: cannot write to {}\n", argv[1]);
    return 71;
  }
  return 0;
}
