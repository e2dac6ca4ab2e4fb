// What of a model's files the page cache held before a load, read by read; and dropping what
// buffered reads left there, so that a load never takes the memory of the model twice. Pages that
// were cached before stay.
//
// Threads: Thread-safe after construction. Borrows the files.
#pragma once

#include <span>
#include <vector>

#include "loader/io/model_file.h"
#include "loader/plan/read_plan.h"

namespace llmrun {

class DropBehind {
 public:
  // Asks the kernel about each read's range. Where it does not tell, nothing counts as cached, and
  // nothing is dropped.
  DropBehind(std::span<const ModelFile> files, const ReadPlan& reads);

  bool WasCached(size_t read) const { return state_[read] == kCached; }  // all of it
  // The read went through the page cache and is in place.
  void Drop(size_t read) const;
  // After the last read: what lies across the borders of reads (large folios, read-ahead) in files
  // of which nothing was cached before.
  void DropRest() const;

 private:
  enum State : uint8_t { kUnknown, kAbsent, kPartly, kCached };

  const std::span<const ModelFile> files_;
  const ReadPlan& reads_;
  std::vector<uint8_t> state_;  // [reads]
};

}  // namespace llmrun
