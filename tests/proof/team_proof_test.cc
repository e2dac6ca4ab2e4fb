#include <gtest/gtest.h>

#include "tests/proof/broken_progress.h"
#include "tests/proof/gate_harness.h"
#include "tests/proof/mutants.h"
#include "tests/proof/pool_harness.h"
#include "tests/proof/team_harness.h"

namespace llmrun::proof {
namespace {

constexpr Search kSeeds{.iterations = 300'000};
constexpr rl::test_result_e kRace = rl::test_result_data_race;

template <typename Orders>
using Gate = BasicRegionGate<RelacyWaiting, Orders>;

TEST(GateProof, Regions) { ExpectHolds<Regions<Gate<RegionGateOrders>>>(kSeeds); }
TEST(GateMutants, Open) { ExpectFails<Regions<Gate<WeakOpen>>>(kSeeds, kRace); }
TEST(GateMutants, Enter) { ExpectFails<Regions<Gate<WeakEnter>>>(kSeeds, kRace); }
TEST(GateMutants, LeaveRelease) { ExpectFails<Regions<Gate<LeaveWithoutRelease>>>(kSeeds, kRace); }
TEST(GateMutants, LeaveAcquire) { ExpectFails<Regions<Gate<LeaveWithoutAcquire>>>(kSeeds, kRace); }
TEST(GateMutants, Close) { ExpectFails<Regions<Gate<WeakClose>>>(kSeeds, kRace); }

template <typename Orders>
using Progresses = BasicTeamProgress<RelacyWaiting, Orders>;

TEST(TeamProof, OneGroup) { ExpectHolds<Barriers<Progresses<TeamProgressOrders>, 1>>(kSeeds); }
TEST(TeamProof, TwoGroups) { ExpectHolds<Barriers<Progresses<TeamProgressOrders>, 2>>(kSeeds); }
TEST(TeamMutants, GroupAddRelease) {
  ExpectFails<Barriers<Progresses<GroupAddWithoutRelease>, 2>>(kSeeds, kRace);
}
TEST(TeamMutants, GroupAddAcquire) {
  ExpectFails<Barriers<Progresses<GroupAddWithoutAcquire>, 2>>(kSeeds, kRace);
}

TEST(StepsProof, TwoMembersInOneGroup) { ExpectHolds<Steps<2, 1>>(kSeeds); }
TEST(StepsProof, TwoMembersInTwoGroups) { ExpectHolds<Steps<2, 2>>(kSeeds); }
TEST(StepsProof, ThreeMembersInTwoGroups) { ExpectHolds<Steps<3, 2>>(kSeeds); }

TEST(StagesProof, TwoMembersInOneGroup) { ExpectHolds<Stages<2, 1>>(kSeeds); }
TEST(StagesProof, TwoMembersInTwoGroups) { ExpectHolds<Stages<2, 2>>(kSeeds); }
TEST(StagesProof, ThreeMembersInTwoGroups) { ExpectHolds<Stages<3, 2>>(kSeeds); }
TEST(StagesProof, WithoutTheWaitItFails) { ExpectFails<Stages<2, 1, false>>(kSeeds, kRace); }

TEST(PoolProof, TwoMembers) { ExpectHolds<Pool<2>>(kSeeds); }
TEST(PoolProof, ThreeMembers) { ExpectHolds<Pool<3>>(kSeeds); }

template <Defect defect>
using BrokenPool = Pool<2, BrokenProgress<RelacyWaiting, defect>>;

TEST(BrokenPool, LosesWakeUps) {
  constexpr rl::test_result_e kLost = rl::test_result_deadlock;
  ExpectFails<BrokenPool<Defect::kLooksEarly>>(kSeeds, kLost);
  ExpectFails<BrokenPool<Defect::kLateTicket>>(kSeeds, kLost);
  ExpectFails<BrokenPool<Defect::kNoTicket>>(kSeeds, kLost);
}

}  // namespace
}  // namespace llmrun::proof
