// A caller and members at one gate (sched/region_gate.h).
#pragma once

#include <cstdint>
#include <memory>

#include "sched/region_gate.h"
#include "tests/proof/simulate.h"

namespace llmrun::proof {

// Members come when they like, late ones too, and nothing but the gate orders what they do. Each
// writes in a region what the caller reads after it and the other member may read in the next.
template <typename Gate>
struct Regions : Harness<Regions<Gate>, 3> {
  static constexpr uint32_t kRegions = 3;
  const std::unique_ptr<Gate> gate = std::make_unique<Gate>();
  Data region;
  Data written[2];

  void thread(unsigned index) {
    if (index == 0) {
      Call();
    } else {
      Take(written[index - 1]);
    }
  }
  void Call() {
    WaitSite site;
    for (uint32_t number = 1; number <= kRegions; ++number) {
      region.Set(static_cast<int>(number));
      gate->Open(number);
      gate->Close(site);
      // Nobody is inside: a member that still wrote would be a race.
      for (Data& slot : written) {
        const int last = slot.Get();
        Expect(last >= 0 && last <= static_cast<int>(number));
        slot.Set(0);
      }
    }
  }
  void Take(Data& mine) {
    uint32_t last = 0;
    for (int tries = 0; tries < 4; ++tries) {
      const uint32_t before = last;
      if (!gate->TryEnter(&last)) continue;
      Expect(last > before);
      Expect(region.Get() == static_cast<int>(last));
      mine.Set(static_cast<int>(last));
      gate->Leave();
    }
  }
};

}  // namespace llmrun::proof
