#include <gtest/gtest.h>

#include <atomic>

#include "tests/proof/broken_progress.h"
#include "tests/proof/mutants.h"
#include "tests/proof/progress_harness.h"

namespace llmrun::proof {
namespace {

template <typename Orders>
using Count = BasicProgress<RelacyWaiting, Orders>;

constexpr Search kByChance{.iterations = 500'000};
constexpr Search kTwoSwitches{.switches = 2};
constexpr Search kOneSwitch{.switches = 1};
constexpr rl::test_result_e kLost = rl::test_result_deadlock;  // a wake-up
constexpr rl::test_result_e kRace = rl::test_result_data_race;

TEST(ProgressProof, PingPong) { ExpectHolds<PingPong<Count<ProgressOrders>>>(kByChance); }
TEST(ProgressProof, PingPongAll) { ExpectHolds<PingPong<Count<ProgressOrders>>>(kTwoSwitches); }
TEST(ProgressProof, Arrivals) { ExpectHolds<Arrivals<Count<ProgressOrders>>>(kByChance); }
TEST(ProgressProof, ArrivalsAll) { ExpectHolds<Arrivals<Count<ProgressOrders>>>(kOneSwitch); }
TEST(ProgressProof, Raises) { ExpectHolds<Raises<Count<ProgressOrders>>>(kByChance); }
TEST(ProgressProof, RaisesAll) { ExpectHolds<Raises<Count<ProgressOrders>>>(kTwoSwitches); }

TEST(ProgressMutants, Look) { ExpectFails<PingPong<Count<WeakLook>>>(kByChance, kRace); }
TEST(ProgressMutants, Add) { ExpectFails<PingPong<Count<WeakAdd>>>(kByChance, kLost); }
TEST(ProgressMutants, AddOfRaises) { ExpectFails<Raises<Count<WeakAdd>>>(kByChance, kLost); }
TEST(ProgressMutants, AnySleeper) {
  ExpectFails<PingPong<Count<WeakAnySleeper>>>(kByChance, kLost);
}
TEST(ProgressMutants, Announce) { ExpectFails<PingPong<Count<WeakAnnounce>>>(kByChance, kLost); }
TEST(ProgressMutants, LastLook) { ExpectFails<PingPong<Count<WeakLastLook>>>(kByChance, kLost); }

// In relacy a seq_cst load sees every seq_cst store that ran before it; in C++ it need not, when a
// relaxed ticket is all that puts one before the other. So the looks are only acquire here.
template <typename Orders>
struct OnlyTickets : Orders {
  static constexpr std::memory_order kAdd = std::memory_order_acq_rel;
  static constexpr std::memory_order kLastLook = std::memory_order_acquire;
};
template <typename Orders>
using TicketCount = BasicProgress<AnnouncedWaiting, OnlyTickets<Orders>>;

TEST(ProgressProof, Tickets) { ExpectHolds<Tickets<TicketCount<ProgressOrders>>>(kByChance); }
TEST(ProgressMutants, Ticket) { ExpectFails<Tickets<TicketCount<WeakTicket>>>(kByChance, kLost); }
TEST(ProgressMutants, Wake) { ExpectFails<Tickets<TicketCount<WeakWake>>>(kByChance, kLost); }

template <Defect defect>
using Broken = BrokenProgress<RelacyWaiting, defect>;

TEST(BrokenProgress, LooksEarly) {
  ExpectFails<PingPong<Broken<Defect::kLooksEarly>>>(kByChance, kLost);
  ExpectFails<Arrivals<Broken<Defect::kLooksEarly>>>(kByChance, kLost);
  ExpectFails<PingPong<Broken<Defect::kLooksEarly>>>(kTwoSwitches, kLost);
}
TEST(BrokenProgress, LateTicket) {
  ExpectFails<PingPong<Broken<Defect::kLateTicket>>>(kByChance, kLost);
  ExpectFails<Arrivals<Broken<Defect::kLateTicket>>>(kByChance, kLost);
  ExpectFails<PingPong<Broken<Defect::kLateTicket>>>(kTwoSwitches, kLost);
}
TEST(BrokenProgress, NoTicket) {
  ExpectFails<PingPong<Broken<Defect::kNoTicket>>>(kByChance, kLost);
  ExpectFails<Arrivals<Broken<Defect::kNoTicket>>>(kByChance, kLost);
  ExpectFails<PingPong<Broken<Defect::kNoTicket>>>(kTwoSwitches, kLost);
}

}  // namespace
}  // namespace llmrun::proof
