#include "loader/plan/choose_numa.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/units.h"
#include "loader/plan/numa_nodes.h"

namespace llmrun {
namespace {

// Of a node that was not measured; what matters is how it compares to the barriers.
constexpr double kUnmeasuredBytesPerSecond = 100e9;
// A barrier across sockets, beyond what one within a socket takes; not measured by us, as our
// machines have one. Source of the order of magnitude: tens of thousands of cycles for software
// barriers between sockets, 0.1 to 0.3 us for one line between them.
constexpr double kCrossBarrierSeconds = 3e-6;
constexpr double kBarriersOfALayer = 5;

struct Candidate {
  const NumaNode* node;
  double bytes_per_s;
};

// What its cores read from their own memory.
std::optional<double> OwnBandwidth(const Machine& machine, const NumaNode& node) {
  const auto index = static_cast<size_t>(&node - machine.nodes.data());
  if (node.read_bytes_per_s.size() <= index || node.read_bytes_per_s[index] <= 0) return {};
  return node.read_bytes_per_s[index];
}

std::string BandwidthText(const std::vector<Candidate>& candidates, bool measured) {
  if (!measured) return "taken as 100 GB/s each, as llm-run doctor --bandwidth never measured them";
  std::string text = "that read ";
  for (const Candidate& candidate : candidates) {
    text += fmt::format("{}{:.1f}", &candidate == candidates.data() ? "" : ", ",
                        candidate.bytes_per_s * 1e-9);
  }
  return text + " GB/s of their own";
}

}  // namespace

NumaChoice ChooseNuma(const Machine& machine, uint64_t weights_bytes, uint64_t layers) {
  const NodeSet nodes = NodesFor({.mode = NumaMode::kShard}, machine).value_or(NodeSet());
  if (nodes.size() < 2) return {};
  std::vector<Candidate> candidates;
  bool measured = true;
  for (const unsigned number : nodes) {
    const NumaNode& node = *std::ranges::find(machine.nodes, number, &NumaNode::os_index);
    const std::optional<double> bandwidth = OwnBandwidth(machine, node);
    measured &= bandwidth.has_value();
    candidates.push_back({&node, bandwidth.value_or(kUnmeasuredBytesPerSecond)});
  }
  if (!measured) {
    for (Candidate& candidate : candidates) candidate.bytes_per_s = kUnmeasuredBytesPerSecond;
  }
  const std::vector<uint32_t> shares = RowShares(machine, nodes);
  const auto bytes = static_cast<double>(weights_bytes);
  double all_shares = 0;
  for (const uint32_t share : shares) all_shares += share;
  double shard_seconds = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    shard_seconds =
        std::max(shard_seconds, bytes * (shares[i] / all_shares) / candidates[i].bytes_per_s);
  }
  shard_seconds += static_cast<double>(layers) * kBarriersOfALayer * kCrossBarrierSeconds;

  const Candidate* best = nullptr;
  for (const Candidate& candidate : candidates) {
    if (weights_bytes > MemoryLimit(machine, {candidate.node->os_index})) continue;
    if (best == nullptr || candidate.bytes_per_s > best->bytes_per_s) best = &candidate;
  }
  const std::string text =
      fmt::format("{} nodes {}", candidates.size(), BandwidthText(candidates, measured));
  if (best == nullptr) {
    return {{.mode = NumaMode::kShard}, text + "; the weights fit on none of them alone"};
  }
  const double one_seconds = bytes / best->bytes_per_s;
  const std::string times = fmt::format(
      "{}; all weights are read in {} by node {}, in {} by all with their barriers", text,
      FormatSeconds(one_seconds), best->node->os_index, FormatSeconds(shard_seconds));
  if (one_seconds <= shard_seconds) return {BindTo(best->node->os_index), times};
  return {{.mode = NumaMode::kShard}, times};
}

}  // namespace llmrun
