#include "memory/page_filler.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/stopwatch.h"
#include "base/units.h"
#include "memory/hugepage_pool.h"

namespace llmrun {
namespace {

// One huge page: the system call is nothing beside clearing it, and it is still in the cache when a
// reader copies into it.
constexpr uint64_t kPieceBytes = 2 * kMiB;
constexpr int kMaxAgain = 1000;

uint64_t PieceBytes(PageKind kind) { return std::max(kPieceBytes, PageBytes(kind)); }

}  // namespace

PageFiller::PageFiller(Spec spec, PageCalls& calls) : spec_(std::move(spec)), calls_(calls) {
  std::vector<PageKind> kinds;
  for (const PageTile& tile : spec_.tiles) {
    for (uint64_t done = 0; done < tile.bytes; done += PieceBytes(tile.kind)) {
      offsets_.push_back(size_bytes_ + done);
      kinds.push_back(tile.kind);
    }
    size_bytes_ += tile.bytes;
  }
  pieces_ = std::make_unique<Piece[]>(offsets_.size());
  uint64_t tile_end = 0;
  size_t tile = 0;
  for (size_t i = 0; i < offsets_.size(); ++i) {
    if (offsets_[i] >= tile_end) tile_end += spec_.tiles[tile++].bytes;
    pieces_[i].at = spec_.base + offsets_[i];
    pieces_[i].bytes = std::min(PieceBytes(kinds[i]), tile_end - offsets_[i]);
    pieces_[i].wanted = pieces_[i].kind = kinds[i];
  }
}

size_t PageFiller::PieceAt(uint64_t offset) const {
  CHECK(offset < size_bytes_);
  const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), offset);
  return static_cast<size_t>(after - offsets_.begin()) - 1;
}

bool PageFiller::Claim(Piece* piece) {
  uint32_t expected = kUntouched;
  return piece->state.compare_exchange_strong(expected, kTouching, std::memory_order_acquire);
}

int PageFiller::TouchAs(Piece* piece, PageKind kind) {
  int errnum = EAGAIN;
  for (int i = 0; i < kMaxAgain && (errnum == EAGAIN || errnum == EINTR); ++i) {
    errnum = calls_.Populate(piece->at, piece->bytes, kind);
  }
  return errnum;
}

// Requires: claimed. Ends in kThere or kFailed and wakes who waits.
void PageFiller::Touch(Piece* piece) {
  const Stopwatch watch;
  int errnum = TouchAs(piece, piece->kind);
  const int first_errnum = errnum;
  while (errnum != 0 && piece->kind != PageKind::k4K && spec_.policy == HugePagesPolicy::kTry) {
    piece->kind = static_cast<PageKind>(static_cast<int>(piece->kind) - 1);
    errnum = calls_.Unmap(piece->at, piece->bytes);
    if (errnum != 0) break;
    errnum = calls_.Map(piece->at, piece->bytes, piece->kind);
    if (errnum == 0 && !spec_.nodes.empty()) {
      calls_.Bind(piece->at, piece->bytes, spec_.nodes);
    }
    if (errnum == 0) errnum = TouchAs(piece, piece->kind);
  }
  if (piece->kind != piece->wanted) NoteStepDown(*piece, first_errnum);
  if (errnum != 0) NoteError(*piece, errnum);
  touch_seconds_.fetch_add(watch.Seconds(), std::memory_order_relaxed);
  piece->state.store(errnum == 0 ? kThere : kFailed, std::memory_order_release);
  piece->state.notify_all();
}

void PageFiller::NoteError(const Piece& piece, int errnum) {
  const bool hugetlb = IsHugetlb(piece.kind);
  // Given back, so that Explain() does not take what was set aside for it for used.
  if (hugetlb) calls_.Unmap(piece.at, piece.bytes);
  const std::lock_guard lock(mutex_);
  if (error_) return;  // the first one counts
  const Refusal refusal = Explain(piece.kind, errnum);
  error_ = MakeFixableError(hugetlb ? ErrorCode::kUnavailable : ErrorCode::kResource, refusal.fix,
                            "{} in {} pages cannot be had: {}", FormatBytes(piece.bytes),
                            NameOf(piece.kind), refusal.why)
               .value();
}

void PageFiller::NoteStepDown(const Piece& piece, int errnum) {
  const std::lock_guard lock(mutex_);
  const std::string wanted = fmt::format("{} pages", NameOf(piece.wanted));
  const auto known = std::find_if(fallbacks_.begin(), fallbacks_.end(),
                                  [&](const Fallback& f) { return f.wanted == wanted; });
  if (known != fallbacks_.end()) return;  // said once
  const Refusal refusal = Explain(piece.wanted, errnum);
  fallbacks_.push_back(
      {wanted, fmt::format("{} for a part", NameOf(piece.kind)), refusal.why, refusal.fix});
}

// A hugetlb page that was set aside can be refused for two reasons, and the kernel names neither.
PageFiller::Refusal PageFiller::Explain(PageKind kind, int errnum) const {
  if (!IsHugetlb(kind)) {
    return {std::strerror(errnum), "free memory, raise the cgroup's limit, or use --loader=mmap"};
  }
  if (calls_.FreePages(kind, spec_.nodes) > 0) {
    return {
        "the pool has free ones, but a limit of the cgroup forbids them",
        fmt::format("raise hugetlb.{}.max of the cgroup", kind == PageKind::k1G ? "1GB" : "2MB")};
  }
  uint64_t pages = 0;  // the command makes so many free: all, as none are held by then
  for (const PageTile& tile : spec_.tiles) {
    if (tile.kind == kind) pages += tile.bytes / PageBytes(kind);
  }
  return {"none were left in the pool", ReserveCommand(spec_.nodes, kind, pages)};
}

Status PageFiller::Ensure(uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return {};
  const size_t last = PieceAt(offset + bytes - 1);
  for (size_t i = PieceAt(offset); i <= last; ++i) {
    Piece& piece = pieces_[i];
    if (Claim(&piece)) Touch(&piece);
    uint32_t state = piece.state.load(std::memory_order_acquire);
    while (state == kTouching) {
      piece.state.wait(state, std::memory_order_acquire);
      state = piece.state.load(std::memory_order_acquire);
    }
    if (state != kFailed) continue;
    const std::lock_guard lock(mutex_);
    return tl::unexpected<Error>(*error_);
  }
  return {};
}

bool PageFiller::Try(uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return false;
  bool touched = false;
  const size_t last = PieceAt(offset + bytes - 1);
  for (size_t i = PieceAt(offset); i <= last; ++i) {
    if (!Claim(&pieces_[i])) continue;
    Touch(&pieces_[i]);
    touched = true;
  }
  return touched;
}

Status PageFiller::Finish() {
  RETURN_IF_ERROR(Ensure(0, size_bytes_));
  return CheckThp();
}

// The kernel gives transparent huge pages where it has whole free blocks, and 4K pages elsewhere,
// without a word.
Status PageFiller::CheckThp() {
  uint64_t wanted_bytes = 0;
  uint64_t thp_bytes = 0;
  std::byte* at = spec_.base;
  for (const PageTile& tile : got()) {
    if (tile.kind == PageKind::kThp) {
      wanted_bytes += tile.bytes;
      thp_bytes += std::min(calls_.ThpBytes(at, tile.bytes).value_or(tile.bytes), tile.bytes);
    }
    at += tile.bytes;
  }
  if (thp_bytes >= wanted_bytes) return {};
  const std::string why = fmt::format("the kernel had transparent huge pages for {} of {}",
                                      FormatBytes(thp_bytes), FormatBytes(wanted_bytes));
  if (spec_.policy == HugePagesPolicy::kRequire) {
    return MakeFixableError(ErrorCode::kUnavailable, kCompactFix, "THP required: {}", why);
  }
  fallbacks_.push_back({"THP",
                        fmt::format("4K pages for {}", FormatBytes(wanted_bytes - thp_bytes)), why,
                        kCompactFix});
  return {};
}

std::vector<PageTile> PageFiller::got() const {
  std::vector<PageTile> tiles;
  for (size_t i = 0; i < offsets_.size(); ++i) {
    const Piece& piece = pieces_[i];
    if (!tiles.empty() && tiles.back().kind == piece.kind) {
      tiles.back().bytes += piece.bytes;
    } else {
      tiles.push_back({piece.kind, piece.bytes});
    }
  }
  return tiles;
}

std::vector<Fallback> PageFiller::fallbacks() const { return fallbacks_; }

}  // namespace llmrun
