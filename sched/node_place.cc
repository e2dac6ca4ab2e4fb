#include "sched/node_place.h"

#include <map>

namespace llmrun {

std::vector<NodePlace> NodePlaces(const ThreadPool& pool) {
  std::vector<NodePlace> places;
  std::map<std::optional<unsigned>, int> members;
  for (int i = 0; i < pool.size(); ++i) {
    const std::optional<unsigned> node = pool.node(i);
    places.push_back({.node = node, .rank = members[node]++});
  }
  for (NodePlace& place : places) place.members = members[place.node];
  return places;
}

}  // namespace llmrun
