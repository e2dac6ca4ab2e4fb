#include "cli/write_chunks.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>

#include "base/stopwatch.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

namespace llmrun {

Status WriteChunks(OutputFile& file, const std::vector<ChunkPlace>& chunks, FillChunk fill,
                   const std::string& label, ThreadPool& pool) {
  ProgressBar bar(label);
  const Stopwatch watch;
  uint64_t total_bytes = 0;
  uint64_t most_bytes = 0;
  for (const ChunkPlace& chunk : chunks) {
    total_bytes += chunk.bytes;
    most_bytes = std::max(most_bytes, chunk.bytes);
  }
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> done_bytes = 0;
  std::atomic<bool> stop = false;
  std::mutex mutex;
  Status outcome;
  pool.Run([&](int member) {
    std::vector<std::byte> buffer(most_bytes);
    while (!stop) {
      const size_t i = next++;
      if (i >= chunks.size()) return;
      const std::span<std::byte> bytes(buffer.data(), chunks[i].bytes);
      Status written = fill(i, bytes);
      if (written) written = file.WriteAt(chunks[i].file_offset, bytes);
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

Status CheckOutputPath(const std::string& path, bool force) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return MakeFixableError(ErrorCode::kUsage, "name a file in it", "{}: is a directory", path);
  }
  if (!force && std::filesystem::exists(path, error)) {
    return MakeFixableError(ErrorCode::kUsage, "--force replaces it", "{}: exists already", path);
  }
  return {};
}

}  // namespace llmrun
