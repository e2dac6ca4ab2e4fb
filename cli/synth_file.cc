#include "cli/synth_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <tuple>
#include <vector>

#include "base/stopwatch.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/synth_blocks.h"

namespace llmrun {
namespace {

// Part of the model's bytes: changing it changes what a seed stands for.
constexpr uint64_t kChunkBytes = 4 * kMiB;

// Whole blocks of one tensor; whole rows when rows have a head.
struct Chunk {
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
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
      chunks.push_back({.file_offset = layout.header.size() + tensor.offset + at,
                        .bytes = std::min(step, tensor.bytes - at),
                        .seed = MixSeed(tensor_seed, at),
                        .filler = &filler});
    }
  }
  return chunks;
}

Status WriteAt(int fd, uint64_t offset, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError(errno, path);
    offset += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Status CheckSpace(const std::string& path, uint64_t bytes) {
  const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
  struct statvfs stats = {};
  if (::statvfs(parent.c_str(), &stats) != 0) return OsError(errno, parent.string());
  const uint64_t free_bytes = uint64_t{stats.f_bavail} * stats.f_frsize;
  if (bytes <= free_bytes) return {};
  return MakeFixableError(ErrorCode::kResource, "a smaller --shape or --type, or another disk",
                          "{}: {} are needed, {} has {} free", path, FormatBytes(bytes),
                          parent.string(), FormatBytes(free_bytes));
}

Status WriteChunks(int fd, std::span<const Chunk> chunks, uint64_t total_bytes,
                   const std::string& path, ThreadPool& pool) {
  ProgressBar bar("synth");
  const Stopwatch watch;
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> done_bytes = 0;
  std::atomic<bool> stop = false;
  std::mutex mutex;
  Status outcome;
  pool.Run([&](int member) {
    std::vector<std::byte> buffer(kChunkBytes);
    while (!stop) {
      const size_t i = next++;
      if (i >= chunks.size()) return;
      const std::span<std::byte> bytes(buffer.data(), chunks[i].bytes);
      chunks[i].filler->Fill(chunks[i].seed, bytes);
      Status written = WriteAt(fd, chunks[i].file_offset, bytes, path);
      if (written && Interrupted()) written = MakeError(ErrorCode::kUsage, "interrupted");
      if (!written) {
        const std::lock_guard lock(mutex);
        if (outcome) outcome = written;
        stop = true;
      }
      done_bytes += chunks[i].bytes;
      if (member == 0) bar.Update(done_bytes, total_bytes, watch.Seconds());
    }
  });
  return outcome;
}

// Everything but the name.
Status WriteTemporary(const SynthLayout& layout, uint64_t seed, const std::string& path,
                      ThreadPool& pool) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return OsError(errno, path);
  const uint64_t total_bytes = layout.header.size() + layout.data_bytes;
  if (::ftruncate(file.get(), static_cast<off_t>(total_bytes)) != 0) return OsError(errno, path);
  // Contiguous on disk, and no space to run out of later. Not every file system can.
  (void)::fallocate(file.get(), 0, 0, static_cast<off_t>(total_bytes));
  RETURN_IF_ERROR(WriteAt(file.get(), 0, layout.header, path));
  Fillers fillers;
  const std::vector<Chunk> chunks = CutIntoChunks(layout, seed, fillers);
  RETURN_IF_ERROR(WriteChunks(file.get(), chunks, total_bytes, path, pool));
  if (::fdatasync(file.get()) != 0) return OsError(errno, path);
  return {};
}

}  // namespace

Status WriteSynthFile(const SynthLayout& layout, uint64_t seed, const std::string& path,
                      ThreadPool& pool) {
  RETURN_IF_ERROR(CheckSpace(path, layout.header.size() + layout.data_bytes));
  const std::string temporary = path + ".tmp";
  Status written = WriteTemporary(layout, seed, temporary, pool);
  if (written && std::rename(temporary.c_str(), path.c_str()) != 0) written = OsError(errno, path);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace llmrun
