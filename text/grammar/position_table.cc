#include "text/grammar/position_table.h"

#include <algorithm>
#include <utility>

namespace llmrun {

namespace {

constexpr size_t kMaxPositions = 4096;  // of which each takes a KiB
constexpr size_t kLargeNodes = size_t{1} << 16;

uint64_t HashOf(const GrammarMatcher::Position& position) {
  uint64_t hash = position.complete ? 1 : 2;
  for (const GrammarMatcher::Way& way : position.ways) {
    hash = (hash ^ (uint64_t{way.state} << 32 | way.stack)) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace

PositionTable::PositionTable(std::shared_ptr<const Grammar> grammar)
    : matcher_(std::move(grammar)), large_nodes_(kLargeNodes) {
  Clear();
}

void PositionTable::Clear() {
  positions_.clear();
  numbers_.clear();
  next_.clear();
  NumberOf({});  // kNowhere
}

PositionTable::Id PositionTable::NumberOf(const Position& position) {
  const uint64_t hash = HashOf(position);
  const auto [begin, end] = numbers_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (positions_[it->second] == position) return it->second;
  }
  const Id id = static_cast<Id>(positions_.size());
  positions_.push_back(position);
  numbers_.emplace(hash, id);
  next_.resize(next_.size() + 256, position.ways.empty() ? kNowhere : kUnknown);
  return id;
}

std::optional<PositionTable::Id> PositionTable::Start() {
  Position position;
  if (!matcher_.Start(&position)) return std::nullopt;
  return NumberOf(position);
}

std::optional<PositionTable::Id> PositionTable::Find(Id from, uint8_t byte) {
  Position next;
  if (!matcher_.Advance(positions_[from], byte, &next)) return std::nullopt;
  const Id id = NumberOf(next);
  next_[size_t{from} * 256 + byte] = id;
  return id;
}

bool PositionTable::IsLarge() const {
  return positions_.size() > kMaxPositions || matcher_.stack_nodes() > large_nodes_;
}

void PositionTable::Keep(std::span<Id> ids) {
  std::vector<Position> kept;
  for (const Id id : ids) kept.push_back(positions_[id]);
  matcher_.Compact(kept);
  large_nodes_ = std::max(kLargeNodes, 2 * matcher_.stack_nodes());
  Clear();
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = NumberOf(kept[i]);
}

}  // namespace llmrun
