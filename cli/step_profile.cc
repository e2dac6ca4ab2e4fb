#include "cli/step_profile.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstddef>
#include <iterator>

namespace llmrun {

StepProfile StepProfile::Of(ThreadPool& pool) {
  StepProfile profile;
  for (int member = 0; member < pool.size(); ++member) {
    const auto& counts = pool.steps().counts(member);
    for (size_t i = 0; i < kForwardZones; ++i) {
      ZoneTotals& zone = profile.zones[i];
      zone.visits += counts[i].steps;
      zone.units += counts[i].units;
      zone.helped_units += counts[i].helped_units;
      zone.work_s += static_cast<double>(counts[i].work_ns) * 1e-9;
      zone.wait_s += static_cast<double>(counts[i].waited_ns()) * 1e-9;
      profile.sleeps += counts[i].sleeps();
    }
  }
  profile.steps = pool.steps().steps();
  profile.wakes = pool.wakes();
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  profile.voluntary_switches = static_cast<uint64_t>(usage.ru_nvcsw);
  profile.involuntary_switches = static_cast<uint64_t>(usage.ru_nivcsw);
  return profile;
}

StepProfile StepProfile::Since(const StepProfile& before) const {
  StepProfile since = *this;
  for (size_t i = 0; i < kForwardZones; ++i) {
    since.zones[i].visits -= before.zones[i].visits;
    since.zones[i].units -= before.zones[i].units;
    since.zones[i].helped_units -= before.zones[i].helped_units;
    since.zones[i].work_s -= before.zones[i].work_s;
    since.zones[i].wait_s -= before.zones[i].wait_s;
  }
  since.steps -= before.steps;
  since.sleeps -= before.sleeps;
  since.wakes -= before.wakes;
  since.voluntary_switches -= before.voluntary_switches;
  since.involuntary_switches -= before.involuntary_switches;
  return since;
}

std::string ProfileText(const std::string& what, const StepProfile& profile, uint64_t count,
                        int threads) {
  const auto each = [&](uint64_t n) { return static_cast<double>(n) / static_cast<double>(count); };
  std::string text = fmt::format(
      "profile {}: {:.1f} steps, {:.2f} sleeps at their ends, {:.2f} wake-up calls, context "
      "switches {:.2f} voluntary {:.2f} not\n"
      "profile {:<12} {:>7} {:>10} {:>10} {:>9}\n",
      what, each(profile.steps), each(profile.sleeps), each(profile.wakes),
      each(profile.voluntary_switches), each(profile.involuntary_switches), "step", "visits",
      "work ms", "wait ms", "helped %");
  const double shared = 1e3 / static_cast<double>(count) / threads;
  for (size_t i = 0; i < kForwardZones; ++i) {
    const StepProfile::ZoneTotals& zone = profile.zones[i];
    if (zone.visits == 0) continue;
    const uint64_t units = zone.units + zone.helped_units;
    fmt::format_to(
        std::back_inserter(text), "profile {:<12} {:>7.1f} {:>10.3f} {:>10.3f} {:>9.1f}\n",
        ForwardZoneNames()[i], each(zone.visits) / threads, zone.work_s * shared,
        zone.wait_s * shared,
        units == 0 ? 0 : 100 * static_cast<double>(zone.helped_units) / static_cast<double>(units));
  }
  return text;
}

}  // namespace llmrun
