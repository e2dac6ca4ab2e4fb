// PlanTiles: how a number of bytes is cut into pages. Pure.
#include <algorithm>
#include <limits>

#include "base/check.h"
#include "memory/arena.h"

namespace llmrun {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 62;  // so that rounding up cannot overflow
constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

class Tiler {
 public:
  explicit Tiler(uint64_t bytes) : left_(bytes) {}

  // As many whole pages as fit, at most `max_pages`. Returns how many.
  uint64_t Take(PageKind kind, uint64_t max_pages) {
    const uint64_t pages = std::min(left_ / PageBytes(kind), max_pages);
    Append(kind, pages);
    return pages;
  }

  // The rest, the last page rounded up.
  void Cover(PageKind kind) {
    const uint64_t page_bytes = PageBytes(kind);
    Append(kind, (left_ + page_bytes - 1) / page_bytes);
  }

  // What is less than a page behind huge pages, in one more of this kind: a page of at most 2 MiB
  // costs one fault, the rest in small pages up to 511.
  void RoundUp(PageKind kind) {
    if (!tiles_.empty() && left_ < PageBytes(kind)) Cover(kind);
  }

  uint64_t left() const { return left_; }
  std::vector<PageTile> Tiles() && { return std::move(tiles_); }

 private:
  void Append(PageKind kind, uint64_t pages) {
    if (pages == 0) return;
    const uint64_t bytes = pages * PageBytes(kind);
    if (!tiles_.empty() && tiles_.back().kind == kind) {
      tiles_.back().bytes += bytes;
    } else {
      tiles_.push_back({kind, bytes});
    }
    left_ -= std::min(left_, bytes);
  }

  uint64_t left_;
  std::vector<PageTile> tiles_;
};

void RequireAnyPool(const TileRequest& request, Tiler* tiler) {
  const uint64_t taken_1g = tiler->Take(PageKind::k1G, request.free_1g);
  const uint64_t pages_2m = tiler->left() / PageBytes(PageKind::k2M);
  const bool short_of_2m =
      pages_2m > request.free_2m ||
      (pages_2m == request.free_2m && tiler->left() % PageBytes(PageKind::k2M) != 0);
  tiler->Cover(short_of_2m && taken_1g < request.free_1g ? PageKind::k1G : PageKind::k2M);
}

void TryAnyPool(const TileRequest& request, Tiler* tiler) {
  tiler->Take(PageKind::k1G, request.free_1g);
  const uint64_t taken_2m = tiler->Take(PageKind::k2M, request.free_2m);
  if (taken_2m < request.free_2m) tiler->RoundUp(PageKind::k2M);
  tiler->Take(PageKind::kThp, kNoLimit);
  tiler->RoundUp(PageKind::kThp);
}

std::vector<PageTile> PlanRequired(const TileRequest& request) {
  Tiler tiler(request.bytes);
  switch (request.pages) {
    case HugePages::kOff:
      tiler.Cover(PageKind::k4K);
      break;
    case HugePages::kThp:
      tiler.Cover(PageKind::kThp);
      break;
    case HugePages::k2M:
      tiler.Cover(PageKind::k2M);
      break;
    case HugePages::k1G:
      tiler.Cover(PageKind::k1G);
      break;
    case HugePages::kAuto:
      RequireAnyPool(request, &tiler);
      break;
  }
  return std::move(tiler).Tiles();
}

}  // namespace

std::vector<PageTile> PlanTiles(const TileRequest& request) {
  CHECK(request.bytes <= kMaxBytes);
  if (request.policy == HugePagesPolicy::kRequire) return PlanRequired(request);
  Tiler tiler(request.bytes);
  switch (request.pages) {
    case HugePages::kOff:
      break;
    case HugePages::kThp:
      tiler.Take(PageKind::kThp, kNoLimit);
      tiler.RoundUp(PageKind::kThp);
      break;
    case HugePages::k1G:
      tiler.Take(PageKind::k1G, kNoLimit);
      [[fallthrough]];
    case HugePages::k2M:
      tiler.Take(PageKind::k2M, kNoLimit);
      tiler.RoundUp(PageKind::k2M);
      break;
    case HugePages::kAuto:
      TryAnyPool(request, &tiler);
      break;
  }
  tiler.Cover(PageKind::k4K);
  return std::move(tiler).Tiles();
}

}  // namespace llmrun
