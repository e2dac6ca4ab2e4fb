#include "cli/synth_file.h"

#include <algorithm>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "base/units.h"
#include "cli/synth_blocks.h"
#include "cli/write_chunks.h"
#include "loader/io/output_file.h"

namespace llmrun {
namespace {

// Part of the model's bytes: changing it changes what a seed stands for.
constexpr uint64_t kChunkBytes = 4 * kMiB;

// Whole blocks of one tensor; whole rows when rows have a head.
struct Chunk {
  ChunkPlace place;
  uint64_t seed = 0;
  const BlockFiller* filler = nullptr;
};

// One filler for each different (type, row length, distribution). Addresses in a std::map stay.
using FillerKey = std::tuple<DType, uint64_t, float, float>;
using Fillers = std::map<FillerKey, BlockFiller>;

std::vector<Chunk> CutIntoChunks(const SynthLayout& layout, uint64_t seed, Fillers& fillers) {
  std::vector<Chunk> chunks;
  for (size_t t = 0; t < layout.tensors.size(); ++t) {
    const SynthTensor& tensor = layout.tensors[t];
    const BlockFiller& filler =
        fillers
            .try_emplace(FillerKey(tensor.dtype, tensor.row_elems, tensor.mean, tensor.deviation),
                         tensor.dtype, tensor.row_elems, tensor.mean, tensor.deviation)
            .first->second;
    const uint64_t step = kChunkBytes / filler.unit_bytes() * filler.unit_bytes();
    const uint64_t tensor_seed = MixSeed(seed, t);
    for (uint64_t at = 0; at < tensor.bytes; at += step) {
      chunks.push_back({.place = {.file_offset = layout.header.size() + tensor.offset + at,
                                  .bytes = std::min(step, tensor.bytes - at)},
                        .seed = MixSeed(tensor_seed, at),
                        .filler = &filler});
    }
  }
  return chunks;
}

}  // namespace

Status WriteSynthFile(const SynthLayout& layout, uint64_t seed, const std::string& path,
                      ThreadPool& pool) {
  ASSIGN_OR_RETURN(const auto file,
                   OutputFile::Create(path, layout.header.size() + layout.data_bytes));
  RETURN_IF_ERROR(file->WriteAt(0, layout.header));
  Fillers fillers;
  const std::vector<Chunk> chunks = CutIntoChunks(layout, seed, fillers);
  std::vector<ChunkPlace> places;
  for (const Chunk& chunk : chunks) places.push_back(chunk.place);
  const auto fill = [&](size_t i, std::span<std::byte> out) -> Status {
    chunks[i].filler->Fill(chunks[i].seed, out);
    return {};
  };
  RETURN_IF_ERROR(WriteChunks(*file, places, fill, "synth", pool));
  return file->Commit();
}

}  // namespace llmrun
