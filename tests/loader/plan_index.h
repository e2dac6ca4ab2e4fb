// Tensor indexes and machines made from plain numbers, for tests of planning.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/units.h"
#include "loader/index/tensor_index.h"
#include "memory/machine.h"

namespace llmrun {

struct PlanTensor {
  std::string name;
  uint64_t offset;
  uint64_t bytes;
  std::vector<uint64_t> dims = {};  // none: whatever is that long
  DType type = DType::kF32;
};
struct PlanFile {
  uint64_t file_bytes;
  std::vector<PlanTensor> tensors;
};

inline TensorIndex MakeIndex(const std::vector<PlanFile>& specs) {
  std::vector<GgufFile> files;
  for (const PlanFile& spec : specs) {
    GgufFile& file = files.emplace_back();
    file.label = "part" + std::to_string(files.size() - 1);
    file.file_bytes = spec.file_bytes;
    for (const PlanTensor& tensor : spec.tensors) {
      TensorInfo& info = file.tensors.emplace_back();
      info.name = tensor.name;
      info.file_offset = tensor.offset;
      info.bytes = tensor.bytes;
      if (tensor.dims.empty()) continue;
      info.dtype = tensor.type;
      info.n_dims = static_cast<int>(tensor.dims.size());
      std::ranges::copy(tensor.dims, info.dims.begin());
    }
    const auto count = static_cast<uint16_t>(specs.size());
    const auto number = static_cast<uint16_t>(files.size() - 1);
    file.metadata.Add({"split.count", MetaType::kUint16, count});
    file.metadata.Add({"split.no", MetaType::kUint16, number});
  }
  return TensorIndex::Build(std::move(files)).value();
}

// 1 to 3 files of up to 40 tensors with gaps of all sizes, layers in any order.
inline TensorIndex RandomIndex(uint64_t seed) {
  std::mt19937_64 random(seed);
  const uint64_t n_layers = 1 + random() % 5;
  uint64_t serial = 0;
  std::vector<PlanFile> specs(1 + random() % 3);
  for (PlanFile& spec : specs) {
    uint64_t at = random() % 10'000;
    for (uint64_t i = 1 + random() % 40; i > 0; --i) {
      const uint64_t bytes = 1 + random() % (random() % 3 == 0 ? 200'000 : 5'000);
      // The first n_layers tensors make sure that no layer is without one.
      const uint64_t layer = serial < n_layers ? serial : random() % (n_layers + 2);
      const std::string prefix = layer < n_layers    ? "blk." + std::to_string(layer) + "."
                                 : layer == n_layers ? "token."
                                                     : "output.";
      spec.tensors.push_back({prefix + std::to_string(serial++), at, bytes});
      at += bytes + random() % (random() % 4 == 0 ? 200'000 : 100);
    }
    const PlanTensor& last = spec.tensors.back();
    spec.file_bytes = last.offset + last.bytes + random() % 100;
    std::shuffle(spec.tensors.begin(), spec.tensors.end(), random);
  }
  while (serial < n_layers) {
    PlanFile& spec = specs.back();
    spec.tensors.push_back({"blk." + std::to_string(serial++) + ".w", spec.file_bytes, 100});
    spec.file_bytes += 100;
  }
  return MakeIndex(specs);
}

// Vectors, matrices and experts of float32 in two files, in any order, with gaps of all sizes.
inline TensorIndex RandomMatrices(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<PlanFile> specs(2);
  uint64_t serial = 0;
  for (PlanFile& spec : specs) {
    uint64_t at = random() % 10'000 * 4;
    for (uint64_t i = 3 + random() % 12; i > 0; --i) {
      std::vector<uint64_t> dims = {1 + random() % 70};
      if (random() % 3 > 0) dims.push_back(1 + random() % 500);
      if (dims.size() == 2 && random() % 4 == 0) dims.push_back(1 + random() % 9);
      uint64_t bytes = 4;
      for (const uint64_t dim : dims) bytes *= dim;
      const uint64_t layer = serial < 2 ? serial : random() % 2;
      spec.tensors.push_back({fmt::format("blk.{}.{}", layer, serial++), at, bytes, dims});
      at += bytes + random() % (random() % 4 == 0 ? 50'000 : 10) * 4;
    }
    spec.file_bytes = at;
  }
  return MakeIndex(specs);
}

// One node with plenty of ordinary memory and these pools.
inline Machine PlanMachine(uint64_t available_bytes, HugePool pool_2m = {}, HugePool pool_1g = {}) {
  Machine machine;
  machine.nodes = {{.os_index = 0,
                    .total_bytes = 2 * available_bytes,
                    .free_bytes = available_bytes,
                    .pool_2m = pool_2m,
                    .pool_1g = pool_1g}};
  machine.cpus = {{.os_index = 0}, {.os_index = 1, .core = 1}};
  machine.effective_cpus = 2;
  machine.total_bytes = 2 * available_bytes;
  machine.available_bytes = available_bytes;
  return machine;
}

}  // namespace llmrun
