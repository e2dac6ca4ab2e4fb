#include "memory/node_set.h"

#include <fmt/format.h>

namespace llmrun {

std::string NameOf(const NodeSet& nodes) {
  if (nodes.empty()) return "";
  return fmt::format("node{} {}", nodes.size() == 1 ? "" : "s", fmt::join(nodes, ", "));
}

std::optional<unsigned> OnlyNode(const NodeSet& nodes) {
  return nodes.size() == 1 ? std::optional(nodes.front()) : std::nullopt;
}

}  // namespace llmrun
