#include "memory/node_set.h"

#include <fmt/format.h>

#include <climits>

namespace llmrun {

std::string NameOf(const NodeSet& nodes) {
  if (nodes.empty()) return "";
  return fmt::format("node{} {}", nodes.size() == 1 ? "" : "s", fmt::join(nodes, ", "));
}

namespace {

constexpr unsigned kWordBits = sizeof(unsigned long) * CHAR_BIT;

}  // namespace

NodeMask::NodeMask(const NodeSet& nodes) : words_(nodes.back() / kWordBits + 1) {
  for (const unsigned node : nodes) words_[node / kWordBits] |= 1UL << (node % kWordBits);
}

// The kernel reads one less.
unsigned long NodeMask::bits() const { return words_.size() * kWordBits + 1; }

std::optional<unsigned> OnlyNode(const NodeSet& nodes) {
  return nodes.size() == 1 ? std::optional(nodes.front()) : std::nullopt;
}

}  // namespace llmrun
