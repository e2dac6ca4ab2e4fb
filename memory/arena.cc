#include "memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "base/units.h"
#include "memory/arena_builder.h"
#include "memory/lock_memory.h"
#include "memory/page_calls.h"
#include "memory/page_filler.h"

namespace llmrun {
namespace {

// The size of all tiles. CHECKs that they are whole pages, largest first.
uint64_t SizeOf(const std::vector<PageTile>& tiles) {
  uint64_t size_bytes = 0;
  PageKind last = PageKind::k1G;
  for (const PageTile& tile : tiles) {
    CHECK(tile.kind <= last && tile.bytes > 0 && tile.bytes % PageBytes(tile.kind) == 0);
    CHECK(CheckedAdd(size_bytes, tile.bytes, &size_bytes));
    last = tile.kind;
  }
  return size_bytes;
}

}  // namespace

Result<Arena> Arena::Reserve(const ArenaSpec& spec) { return Reserve(spec, SystemPageCalls()); }

Result<Arena> Arena::Reserve(const ArenaSpec& spec, PageCalls& calls) {
  CHECK(spec.populate_threads >= 1);
  Arena arena;
  const uint64_t size_bytes = SizeOf(spec.tiles);
  if (size_bytes == 0) return arena;
  RETURN_IF_ERROR(arena.Map(size_bytes, PageBytes(spec.tiles.front().kind)));
  ArenaBuilder builder(spec, arena.data_, calls);
  RETURN_IF_ERROR(builder.Build());
  arena.got_ = std::move(builder.got);
  arena.fallbacks_ = std::move(builder.fallbacks);
  arena.populate_seconds_ = builder.populate_seconds;
  if (spec.touch_later) {
    arena.filler_ = std::make_unique<PageFiller>(
        PageFiller::Spec{arena.data_, arena.got_, spec.nodes, spec.policy}, calls);
  }
  return arena;
}

Arena Arena::Adopt(std::span<std::byte> mapping, PageKind kind) {
  Arena arena;
  arena.got_ = {{kind, mapping.size()}};
  arena.size_bytes_ = SizeOf(arena.got_);
  arena.data_ = mapping.data();
  return arena;
}

// Reserves addresses only. Every step of the ladder later happens inside this range, so that a
// large page that cannot be had never moves what lies behind it.
Status Arena::Map(uint64_t size_bytes, uint64_t alignment) {
  uint64_t span_bytes = 0;
  const bool fits = CheckedAdd(size_bytes, alignment, &span_bytes);
  void* mapped = MAP_FAILED;
  errno = ENOMEM;
  if (fits) {
    mapped =
        mmap(nullptr, span_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  if (mapped == MAP_FAILED) {
    return OsError(errno, fmt::format("reserving {} of addresses", FormatBytes(size_bytes)));
  }
  const auto begin = reinterpret_cast<uintptr_t>(mapped);
  const uint64_t head_bytes = AlignUp(begin, alignment) - begin;
  data_ = static_cast<std::byte*>(mapped) + head_bytes;
  size_bytes_ = size_bytes;
  if (head_bytes > 0) munmap(mapped, head_bytes);
  if (head_bytes < alignment) munmap(data_ + size_bytes, alignment - head_bytes);
  return {};
}

Status Arena::EnsurePages(uint64_t offset, uint64_t bytes) {
  return filler_ ? filler_->Ensure(offset, bytes) : Status();
}

bool Arena::TryPages(uint64_t offset, uint64_t bytes) {
  return filler_ && filler_->Try(offset, bytes);
}

Status Arena::FinishPages() {
  if (!filler_) return {};
  RETURN_IF_ERROR(filler_->Finish());
  got_ = filler_->got();
  const std::vector<Fallback> more = filler_->fallbacks();
  fallbacks_.insert(fallbacks_.end(), more.begin(), more.end());
  populate_seconds_ += filler_->touch_seconds();
  filler_.reset();
  return {};
}

Arena::Arena() = default;
Arena::~Arena() { Release(); }

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      got_(std::exchange(other.got_, {})),
      fallbacks_(std::exchange(other.fallbacks_, {})),
      populate_seconds_(std::exchange(other.populate_seconds_, 0)),
      filler_(std::move(other.filler_)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  if (this != &other) {
    Release();
    data_ = std::exchange(other.data_, nullptr);
    size_bytes_ = std::exchange(other.size_bytes_, 0);
    got_ = std::exchange(other.got_, {});
    fallbacks_ = std::exchange(other.fallbacks_, {});
    populate_seconds_ = std::exchange(other.populate_seconds_, 0);
    filler_ = std::move(other.filler_);
  }
  return *this;
}

// The range holds whole pages of every kind, so that it comes off in one piece.
void Arena::Release() {
  if (data_ != nullptr) CHECK(munmap(data_, size_bytes_) == 0);
  data_ = nullptr;
}

Status Arena::Lock() {
  std::byte* at = data_;
  for (const PageTile& tile : got_) {
    if (!IsHugetlb(tile.kind)) RETURN_IF_ERROR(LockMemory({at, tile.bytes}));
    at += tile.bytes;
  }
  return {};
}

Status Arena::Seal() {
  if (data_ != nullptr && mprotect(data_, size_bytes_, PROT_READ) != 0) {
    return OsError(errno, "making an arena read-only");
  }
  return {};
}

}  // namespace llmrun
