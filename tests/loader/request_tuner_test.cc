#include "loader/io/request_tuner.h"

#include <gtest/gtest.h>

#include <functional>

namespace llmrun {
namespace {

using Setting = RequestTuner::Setting;
constexpr uint64_t kGiBytes = 1ULL << 30;
constexpr uint64_t kMiBytes = 1ULL << 20;

// Loads so many bytes from a device whose rate depends on the setting; returns what was settled on.
Setting Simulate(uint64_t bytes, const std::function<double(const Setting&)>& bytes_per_second) {
  RequestTuner tuner({}, {}, bytes);
  double now_s = 0;
  for (uint64_t done = 0; done < bytes;) {
    const Setting setting = tuner.current();
    now_s += static_cast<double>(setting.request_bytes) / bytes_per_second(setting);
    tuner.Landed(setting.request_bytes, now_s);
    done += setting.request_bytes;
  }
  EXPECT_TRUE(tuner.settled());
  return tuner.current();
}

TEST(RequestTuner, KeepsTheStartOnADeviceThatDoesNotCare) {
  EXPECT_EQ(Simulate(20 * kGiBytes, [](const Setting&) { return 2e9; }), Setting());
}

TEST(RequestTuner, SmallLoadsKeepTheStart) {
  const RequestTuner tuner({}, {}, kGiBytes);
  EXPECT_TRUE(tuner.settled());
  EXPECT_EQ(tuner.current(), Setting());
}

TEST(RequestTuner, FindsMoreInFlight) {
  const auto device = [](const Setting& s) { return 1e8 * std::min(s.depth, 64U); };
  EXPECT_EQ(Simulate(40 * kGiBytes, device).depth, 64U);
}

TEST(RequestTuner, FindsSmallerRequests) {
  const auto device = [](const Setting& s) {
    return 8e9 / static_cast<double>(s.request_bytes / kMiBytes);
  };
  EXPECT_EQ(Simulate(40 * kGiBytes, device).request_bytes, 2 * kMiBytes);
}

TEST(RequestTuner, StaysInItsBounds) {
  const auto device = [](const Setting& s) {
    return 1e3 * s.depth * static_cast<double>(s.request_bytes / kMiBytes);
  };
  const Setting found = Simulate(200 * kGiBytes, device);
  EXPECT_EQ(found.depth, 64U);
  EXPECT_EQ(found.request_bytes, 16 * kMiBytes);
}

TEST(RequestTuner, ALittleFasterIsNoise) {
  const auto device = [](const Setting& s) { return s == Setting() ? 1.00e9 : 1.03e9; };
  EXPECT_EQ(Simulate(40 * kGiBytes, device), Setting());
}

}  // namespace
}  // namespace llmrun
