#include "sched/node_place.h"

#include <gtest/gtest.h>

namespace llmrun {
namespace {

// CPU 0 is there for everybody; that the others refuse to be pinned to what is not is harmless.
ThreadPoolOptions Pinned(int threads, std::vector<unsigned> nodes) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.cpus.assign(nodes.size(), 0);
  options.nodes = std::move(nodes);
  options.pin_caller = true;
  options.spin_ns = 0;
  return options;
}

TEST(NodePlaces, RanksAmongThoseOfTheNode) {
  const auto pool = ThreadPool::Create(Pinned(5, {0, 0, 3, 3, 3})).value();
  const std::vector<NodePlace> places = NodePlaces(*pool);
  ASSERT_EQ(places.size(), 5U);
  const unsigned nodes[] = {0, 0, 3, 3, 3};
  const int ranks[] = {0, 1, 0, 1, 2};
  const int members[] = {2, 2, 3, 3, 3};
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i].node, nodes[i]) << i;
    EXPECT_EQ(places[i].rank, ranks[i]) << i;
    EXPECT_EQ(places[i].members, members[i]) << i;
  }
}

TEST(NodePlaces, NobodyHasANodeWhereThatIsNotKnown) {
  ThreadPoolOptions options = Pinned(2, {1, 2});
  options.nodes.clear();
  const auto pool = ThreadPool::Create(options).value();
  for (const NodePlace& place : NodePlaces(*pool)) {
    EXPECT_FALSE(place.node);
    EXPECT_EQ(place.members, 2);
  }
}

TEST(NodePlaces, ACallerThatIsNotPinnedHasNoNode) {
  ThreadPoolOptions options = Pinned(2, {1, 2});
  options.pin_caller = false;
  const auto pool = ThreadPool::Create(options).value();
  EXPECT_FALSE(pool->node(0));
  EXPECT_EQ(pool->node(1), 2U);
}

}  // namespace
}  // namespace llmrun
