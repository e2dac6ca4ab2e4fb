// On which NUMA nodes the pages of a range are to lie.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace llmrun {

// Numbers of the kernel (os_index), ascending. None: on the node of the thread that touches a page
// first. One: there and nowhere else. Several: page by page on each in turn (MPOL_INTERLEAVE).
using NodeSet = std::vector<unsigned>;

// "node 1", "nodes 0, 1"; empty for none.
std::string NameOf(const NodeSet& nodes);

// As the kernel's calls take it (set_mempolicy(2), mbind(2)).
class NodeMask {
 public:
  explicit NodeMask(const NodeSet& nodes);  // at least one
  const unsigned long* words() const { return words_.data(); }
  unsigned long bits() const;

 private:
  std::vector<unsigned long> words_;  // NOLINT(google-runtime-int): the kernel's unit
};

// The only one; nullopt for none and for several.
std::optional<unsigned> OnlyNode(const NodeSet& nodes);

}  // namespace llmrun
