#include "loader/load_options.h"

#include <utility>

namespace llmrun {
namespace {

constexpr std::pair<LoaderKind, std::string_view> kLoaderNames[] = {
    {LoaderKind::kAuto, "auto"},     {LoaderKind::kMmap, "mmap"},
    {LoaderKind::kRead, "read"},     {LoaderKind::kIoUring, "io_uring"},
    {LoaderKind::kSplice, "splice"}, {LoaderKind::kResident, "resident"},
};

}  // namespace

std::optional<LoaderKind> ParseLoaderKind(std::string_view text) {
  for (const auto& [kind, name] : kLoaderNames) {
    if (text == name) return kind;
  }
  return std::nullopt;
}

std::string_view NameOf(LoaderKind kind) {
  for (const auto& [known, name] : kLoaderNames) {
    if (kind == known) return name;
  }
  return "unknown";
}

Status Validate(const LoadOptions& options) {
  if (options.io_threads < 0 || options.io_threads > kMaxIoThreads) {
    return MakeError(ErrorCode::kUsage, "{} I/O threads: expected 0 (chosen) to {}",
                     options.io_threads, kMaxIoThreads);
  }
  if (options.queue_depth < 1 || options.queue_depth > kMaxQueueDepth) {
    return MakeError(ErrorCode::kUsage, "queue depth {}: expected 1 to {}", options.queue_depth,
                     kMaxQueueDepth);
  }
  if (options.chunk_bytes < kMinChunkBytes || options.chunk_bytes > kMaxChunkBytes) {
    return MakeError(ErrorCode::kUsage, "chunks of {} bytes: expected {} to {}",
                     options.chunk_bytes, kMinChunkBytes, kMaxChunkBytes);
  }
  return {};
}

}  // namespace llmrun
