// What the tests of Weights share: a model on disk, its hash by plain reads, a load of all of it.
#pragma once

#include <gtest/gtest.h>
#include <xxhash.h>

#include <fstream>
#include <string>
#include <vector>

#include "loader/gguf/gguf_writer.h"
#include "loader/weights.h"
#include "tests/memory/temp_tree.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {

inline const Machine& ThisMachine() {
  static const Machine machine = DetectMachine().value();
  return machine;
}

// The hash that HashAll() must give, from the file by plain reads.
inline uint64_t HashOfFiles(const TensorIndex& index) {
  std::vector<uint64_t> hashes;
  for (const IndexedTensor& tensor : index.tensors()) {
    std::ifstream file(index.files()[tensor.extent.file].label, std::ios::binary);
    std::string bytes(tensor.extent.bytes, '\0');
    file.seekg(static_cast<std::streamoff>(tensor.extent.offset));
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_TRUE(file.good());
    hashes.push_back(XXH3_64bits(bytes.data(), bytes.size()));
  }
  return XXH3_64bits(hashes.data(), hashes.size() * sizeof(uint64_t));
}

// About 5 MB, so that 2M pages, their remainder and several chunks all occur.
inline std::string WriteModel(const TempTree& tree) {
  const std::string path = tree.Path("model.gguf");
  EXPECT_TRUE(WriteFile(path, BuildTinyLlama({.d_model = 192,
                                              .n_layers = 3,
                                              .n_heads = 4,
                                              .n_kv_heads = 2,
                                              .d_ff = 512,
                                              .n_vocab = 320})));
  return path;
}

// A model in so many parts, of one tensor each; the path of the first.
inline std::string WriteSplitModel(const TempTree& tree, uint16_t parts) {
  const auto path = [&](int part) {
    return tree.Path(fmt::format("m-{:05}-of-{:05}.gguf", part + 1, parts));
  };
  for (uint16_t part = 0; part < parts; ++part) {
    GgufWriter writer;
    writer.AddUint32("split.no", part);
    writer.AddUint32("split.count", parts);
    EXPECT_TRUE(writer.AddTensor(fmt::format("blk.{}.w", part), DType::kF32, {5000U + part}));
    std::vector<std::byte> bytes = writer.Header();
    bytes.resize(bytes.size() + writer.DataBytes(), static_cast<std::byte>(0x11 * (part + 1)));
    EXPECT_TRUE(WriteFile(path(part), bytes));
  }
  return path(0);
}

inline Result<LoadReport> LoadAll(const TensorIndex& index, LoadOptions options) {
  options.hash = true;
  ASSIGN_OR_RETURN(const auto weights, StartLoad(index, ThisMachine(), options));
  return weights->Finish();
}

}  // namespace llmrun
