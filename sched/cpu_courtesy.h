// Giving the CPU up between two pieces of work when another thread wants it, before the kernel
// takes it in the middle of one, where the others would have to wait for the rest of that piece.
//
// How: a thread that finds itself preempted during its work learns how long it is let run, and from
// then on yields a little earlier than that, as long as yielding lets somebody run. While nobody
// else wants the CPU that costs a look at the clock.
//
// Threads: belongs to one thread.
#pragma once

#include <cstdint>

namespace llmrun {

class CpuCourtesy {
 public:
  // What it asks of the kernel; tests bring their own.
  struct Calls {
    int64_t (*now_ns)();
    int64_t (*preemptions)();  // of the calling thread, so far
    void (*yield)();
  };
  CpuCourtesy();
  explicit CpuCourtesy(const Calls& calls) : calls_(calls) {}

  // Around work during which others would have to wait for us.
  void Begin();
  int64_t End();  // returns how many ns it took
  // Between pieces, when nobody waits for us.
  void Offer() {
    if (contended_) YieldIfDue();
  }

 private:
  void YieldIfDue();

  const Calls calls_;
  bool contended_ = false;
  int64_t begin_ns_ = 0;    // of this work
  int64_t resumed_ns_ = 0;  // when we last got the CPU back, as far as we know
  int64_t budget_ns_ = 0;   // how long we run before we offer it
  int64_t preemptions_ = -1;
};

}  // namespace llmrun
