// Touches the pages of an arena piece by piece while it is already being filled, so that clearing
// memory hides behind the reads. A piece is touched once, whoever asks first; a piece that its kind
// of pages cannot serve (a cgroup's hugetlb limit, a short node) is taken one step down the ladder
// in place: nothing lies in it yet.
//
// Threads: Ensure() and Try() are Thread-safe; Finish() is for one thread, after the others.
// Owner: borrows the range and `calls`. Internal to memory/; see Arena::EnsurePages().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "memory/node_set.h"
#include "memory/page_calls.h"
#include "memory/page_kind.h"

namespace llmrun {

class PageFiller {
 public:
  struct Spec {
    std::byte* base = nullptr;
    std::vector<PageTile> tiles;  // mapped, not touched; in address order
    NodeSet nodes;                // pages mapped again on a step down are bound to them
    HugePagesPolicy policy = HugePagesPolicy::kTry;
  };
  PageFiller(Spec spec, PageCalls& calls);

  // Every page of [offset, offset + bytes) is there when this returns Ok; waits for pieces that
  // another thread is touching. Failure: kResource (no memory), kUnavailable (the kind was
  // required); the same for everybody who asks for that piece.
  Status Ensure(uint64_t offset, uint64_t bytes);
  // The same without waiting: touches what nobody has begun, and leaves errors to Ensure(). False
  // when there was nothing to touch.
  bool Try(uint64_t offset, uint64_t bytes);
  // The rest, then the account of what was got.
  Status Finish();

  std::vector<PageTile> got() const;                       // after Finish()
  std::vector<Fallback> fallbacks() const;                 // after Finish()
  double touch_seconds() const { return touch_seconds_; }  // summed over threads

 private:
  enum State : uint32_t { kUntouched, kTouching, kThere, kFailed };
  struct Piece {
    std::byte* at = nullptr;
    uint64_t bytes = 0;
    PageKind wanted = PageKind::k4K;
    PageKind kind = PageKind::k4K;  // written by who holds kTouching
    std::atomic<uint32_t> state{kUntouched};
  };

  struct Refusal {
    std::string why;
    std::string fix;
  };

  size_t PieceAt(uint64_t offset) const;
  bool Claim(Piece* piece);
  void Touch(Piece* piece);
  int TouchAs(Piece* piece, PageKind kind);
  Status CheckThp();
  void NoteError(const Piece& piece, int errnum);
  void NoteStepDown(const Piece& piece, int errnum);
  Refusal Explain(PageKind kind, int errnum) const;

  const Spec spec_;
  PageCalls& calls_;
  std::vector<uint64_t> offsets_;  // [pieces] where each begins
  uint64_t size_bytes_ = 0;
  std::unique_ptr<Piece[]> pieces_;
  std::atomic<double> touch_seconds_{0};

  std::mutex mutex_;
  std::optional<Error> error_;       // guarded by mutex_: the first
  std::vector<Fallback> fallbacks_;  // guarded by mutex_ until Finish()
};

}  // namespace llmrun
