#include "loader/load_options.h"

#include <charconv>
#include <span>
#include <utility>

namespace llmrun {
namespace {

constexpr std::pair<LoaderKind, std::string_view> kLoaderNames[] = {
    {LoaderKind::kAuto, "auto"},     {LoaderKind::kMmap, "mmap"},
    {LoaderKind::kRead, "read"},     {LoaderKind::kIoUring, "io_uring"},
    {LoaderKind::kSplice, "splice"}, {LoaderKind::kResident, "resident"},
};

constexpr std::pair<IoPoll, std::string_view> kIoPollNames[] = {
    {IoPoll::kNone, "none"},
    {IoPoll::kSqpoll, "sqpoll"},
    {IoPoll::kIopoll, "iopoll"},
};

template <typename T>
using Names = std::span<const std::pair<T, std::string_view>>;

template <typename T>
std::optional<T> Find(Names<T> names, std::string_view text) {
  for (const auto& [value, name] : names) {
    if (text == name) return value;
  }
  return std::nullopt;
}

template <typename T>
std::string_view Find(Names<T> names, T value) {
  for (const auto& [known, name] : names) {
    if (value == known) return name;
  }
  return "unknown";
}

}  // namespace

std::optional<LoaderKind> ParseLoaderKind(std::string_view text) {
  return Find<LoaderKind>(kLoaderNames, text);
}
std::string_view NameOf(LoaderKind kind) { return Find<LoaderKind>(kLoaderNames, kind); }

std::optional<IoPoll> ParseIoPoll(std::string_view text) {
  return Find<IoPoll>(kIoPollNames, text);
}
std::string_view NameOf(IoPoll poll) { return Find<IoPoll>(kIoPollNames, poll); }

std::optional<NumaPolicy> ParseNumaPolicy(std::string_view text) {
  constexpr std::string_view kBind = "bind:";
  if (text == "off") return NumaPolicy{};
  for (const NumaMode mode :
       {NumaMode::kInterleave, NumaMode::kShard, NumaMode::kMirror, NumaMode::kAuto}) {
    if (text == NameOf(NumaPolicy{.mode = mode})) return NumaPolicy{.mode = mode};
  }
  if (!text.starts_with(kBind)) return std::nullopt;
  unsigned node = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kBind.size(), end, node);
  return error == std::errc() && stop == end ? std::optional(BindTo(node)) : std::nullopt;
}

std::string NameOf(const NumaPolicy& policy) {
  switch (policy.mode) {
    case NumaMode::kBind:
      return fmt::format("bind:{}", policy.node);
    case NumaMode::kInterleave:
      return "interleave";
    case NumaMode::kShard:
      return "shard";
    case NumaMode::kMirror:
      return "mirror";
    case NumaMode::kAuto:
      return "auto";
    case NumaMode::kOff:
      break;
  }
  return "off";
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
