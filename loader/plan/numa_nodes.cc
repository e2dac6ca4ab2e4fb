#include "loader/plan/numa_nodes.h"

#include <algorithm>
#include <string>
#include <vector>

namespace llmrun {
namespace {

// Requires: the nodes are there.
std::vector<const NumaNode*> Find(const Machine& machine, const NodeSet& nodes) {
  std::vector<const NumaNode*> found;
  for (const NumaNode& node : machine.nodes) {
    if (nodes.empty() || std::ranges::count(nodes, node.os_index) > 0) found.push_back(&node);
  }
  return found;
}

Result<NodeSet> TheNode(const Machine& machine, unsigned wanted) {
  std::string known;
  for (const NumaNode& node : machine.nodes) {
    if (node.os_index == wanted) return NodeSet{wanted};
    known += fmt::format("{}{}", known.empty() ? "" : ", ", node.os_index);
  }
  return MakeError(ErrorCode::kUsage, "--numa=bind:{}: no such node; this machine has: {}", wanted,
                   known);
}

}  // namespace

Result<NodeSet> NodesFor(const NumaPolicy& policy, const Machine& machine) {
  if (policy.mode == NumaMode::kOff || policy.mode == NumaMode::kAuto) return NodeSet();
  if (policy.mode == NumaMode::kBind) return TheNode(machine, policy.node);
  NodeSet nodes;
  for (const NumaNode& node : machine.nodes) {
    if (node.total_bytes > 0 && !CpusOf(machine, node.os_index).empty()) {
      nodes.push_back(node.os_index);
    }
  }
  if (nodes.empty()) nodes.push_back(machine.nodes.front().os_index);
  return nodes;
}

std::vector<uint32_t> RowShares(const Machine& machine, const NodeSet& nodes) {
  std::vector<uint32_t> shares;
  for (const unsigned node : nodes) {
    shares.push_back(std::max<uint32_t>(1, static_cast<uint32_t>(CoreCount(machine, {node}))));
  }
  if (shares.empty()) shares.push_back(1);
  return shares;
}

uint64_t FreeHugePages(const Machine& machine, const NodeSet& nodes, PageKind kind) {
  uint64_t sum = 0;
  uint64_t least = UINT64_MAX;
  for (const NumaNode* node : Find(machine, nodes)) {
    const HugePool& pool = kind == PageKind::k1G ? node->pool_1g : node->pool_2m;
    sum += pool.free_pages;
    least = std::min(least, pool.free_pages);
  }
  return nodes.empty() ? sum : least * nodes.size();
}

uint64_t MemoryLimit(const Machine& machine, const NodeSet& nodes) {
  uint64_t bytes = machine.available_bytes;
  if (!nodes.empty()) {
    uint64_t on_nodes = 0;
    for (const NumaNode* node : Find(machine, nodes)) on_nodes += node->free_bytes;
    bytes = std::min(bytes, on_nodes);
  }
  return bytes - bytes / 20;
}

}  // namespace llmrun
