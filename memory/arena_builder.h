// The doing behind Arena::Reserve: fills a reserved range with tiles, one run of equal pages after
// the other, and takes what cannot be had one step down the ladder. Internal to memory/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fallback.h"
#include "memory/arena.h"
#include "memory/page_calls.h"

namespace llmrun {

class ArenaBuilder {
 public:
  // `base` begins a reserved range as long as the tiles, aligned to the largest of their pages.
  // Borrows all three.
  ArenaBuilder(const ArenaSpec& spec, std::byte* base, PageCalls& calls);

  // On failure some of the range may be populated; the owner of the range unmaps it.
  Status Build();

  std::vector<PageTile> got;
  std::vector<Fallback> fallbacks;
  double populate_seconds = 0;

 private:
  // What became of a run: so many bytes of its front were had; `why` says what stopped it there.
  struct Taken {
    uint64_t bytes = 0;
    std::string why;
  };

  Result<Taken> Take(const PageTile& run);
  Status Bind(const PageTile& run);
  uint64_t MapWhatPoolGives(const PageTile& run, int* errnum);
  Status CheckThp(const PageTile& run);
  Status CheckAvailable(const PageTile& first);
  Status StepDown(const PageTile& run, const Taken& taken);
  std::string WhyShort(const PageTile& run, uint64_t free_pages, int errnum) const;
  void Accept(PageKind kind, uint64_t bytes);

  const ArenaSpec& spec_;
  PageCalls& calls_;
  std::byte* at_;              // where the next run goes
  std::deque<PageTile> todo_;  // in address order, kinds descending
  bool may_bind_;
};

}  // namespace llmrun
