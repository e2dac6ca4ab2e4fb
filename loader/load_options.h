// What a user may choose about loading. Two independent choices: how bytes travel (loader) and
// where they land (hugepages); both are visible in the plan and in the report.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/trace.h"
#include "loader/index/tensor_index.h"
#include "memory/page_kind.h"
#include "memory/tensor_view.h"

namespace llmrun {

class ModelStream;  // loader/io/model_stream.h
struct RowPacking;  // loader/row_packing.h

enum class LoaderKind : uint8_t { kAuto, kMmap, kRead, kIoUring, kSplice, kResident };
std::optional<LoaderKind> ParseLoaderKind(std::string_view text);  // "auto", "io_uring", ...
std::string_view NameOf(LoaderKind kind);

// Who looks for completions of io_uring: an interrupt, with a kernel thread that takes requests off
// the ring (SQPOLL) or without, or we who wait for them (IOPOLL: direct reads of devices with poll
// queues). Source: io_uring_setup(2).
enum class IoPoll : uint8_t { kNone, kSqpoll, kIopoll };
std::optional<IoPoll> ParseIoPoll(std::string_view text);  // "none", "sqpoll", "iopoll"
std::string_view NameOf(IoPoll poll);

// --numa=: on which NUMA nodes the weights are to lie. kOff: where the kernel puts them. kBind: all
// on one. On all nodes with CPUs: kInterleave, page by page in turn; kShard, the rows of each
// matrix dealt out, so that each node's cores multiply with what lies beside them; kMirror, a copy
// on each. kAuto: one of these (plan/choose_numa.h).
enum class NumaMode : uint8_t { kOff, kBind, kInterleave, kShard, kMirror, kAuto };
struct NumaPolicy {
  NumaMode mode = NumaMode::kOff;
  unsigned node = 0;  // kBind
  bool operator==(const NumaPolicy&) const = default;
};
inline NumaPolicy BindTo(unsigned node) { return {NumaMode::kBind, node}; }
// "off", "bind:1", "interleave", "shard", "mirror", "auto"; nullopt for anything else.
std::optional<NumaPolicy> ParseNumaPolicy(std::string_view text);
std::string NameOf(const NumaPolicy& policy);

struct LoadProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;
  double seconds = 0;
};

// Looks at a tensor that has arrived, in its pieces (Weights::Pieces); an error fails the load's
// Finish().
using TensorVisitor = std::function<Status(TensorId, std::span<const TensorPiece>)>;

struct LoadOptions {
  LoaderKind loader = LoaderKind::kAuto;
  HugePages hugepages = HugePages::kAuto;
  HugePagesPolicy policy = HugePagesPolicy::kTry;
  NumaPolicy numa = {};
  bool mlock = false;
  bool hash = false;                  // XXH3 over every tensor as it arrives (LoadReport::xxh3)
  int io_threads = 0;                 // readers of `read` and `splice`; 0: chosen
  uint32_t queue_depth = 16;          // requests in flight with io_uring
  uint64_t chunk_bytes = 4ULL << 20;  // largest single request
  IoPoll io_poll = IoPoll::kNone;     // with io_uring
  bool tune = true;  // io_uring: begin with these two and settle on what this device likes
  // Where weights left resident are looked for (loader/resident); empty: nowhere. kAuto attaches to
  // a valid store there.
  std::string resident_dir = {};
  // Called from the loading thread, at most every 50 ms and once at the end. May be empty.
  std::function<void(const LoadProgress&)> progress = {};
  // Called for every tensor as it arrives, on several threads at once, beside the reads. May be
  // empty.
  TensorVisitor on_tensor = {};
  // What can be done with rows, and whether it is to be done: weights in memory of their own are
  // packed as they arrive. Without it weights that were left resident packed cannot be attached.
  const RowPacking* packing = nullptr;  // borrowed likewise
  bool pack = false;
  TraceLog* trace = nullptr;      // borrowed: must outlive the Weights
  ModelStream* stream = nullptr;  // borrowed likewise: the weights come from there, not from files
};

inline constexpr int kMaxIoThreads = 1024;
inline constexpr uint32_t kMaxQueueDepth = 4096;
inline constexpr uint64_t kMinChunkBytes = 4096;
inline constexpr uint64_t kMaxChunkBytes = 1ULL << 30;  // read(2) moves at most 2 GiB - 4 KiB

// kUsage, naming the option and its range, when a number lies outside the limits above.
Status Validate(const LoadOptions& options);

}  // namespace llmrun
