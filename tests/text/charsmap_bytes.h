// Builds precompiled character maps for tests: the double array by trying offsets until one fits.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace llmrun {

class CharsmapBuilder {
 public:
  explicit CharsmapBuilder(const std::map<std::string, std::string>& rules) {
    std::map<std::string, uint32_t> values;
    for (const auto& [from, to] : rules) {
      values[from] = static_cast<uint32_t>(strings_.size());
      strings_ += to + '\0';
    }
    units_.assign(1024, 0);
    used_.assign(1024, false);
    used_[0] = true;
    Place(0, "", values);
  }

  std::string Bytes() const {
    std::string out;
    const auto put = [&](uint32_t value) {
      for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
    };
    put(static_cast<uint32_t>(units_.size() * 4));
    for (const uint32_t unit : units_) put(unit);
    return out + strings_;
  }

 private:
  using Values = std::map<std::string, uint32_t>;

  // Gives the node of `prefix` an offset at which all its children are free, then its children.
  void Place(size_t node, const std::string& prefix, const Values& values) {
    std::map<unsigned char, std::string> children;
    for (const auto& [key, value] : values) {
      if (key.size() > prefix.size() && key.starts_with(prefix)) {
        const char next = key[prefix.size()];
        children[static_cast<unsigned char>(next)] = prefix + next;
      }
    }
    const bool ends = values.contains(prefix);
    for (uint32_t base = 1;; ++base) {
      const auto slot = [&](unsigned char byte) { return (node ^ base) ^ byte; };
      bool fits = !ends || !used_.at(slot(0));
      for (const auto& [byte, child] : children) fits = fits && !used_.at(slot(byte));
      if (!fits) continue;
      units_[node] |= base << 10 | (ends ? 1U << 8 : 0);
      if (ends) {
        used_[slot(0)] = true;
        units_[slot(0)] = values.at(prefix) | 1U << 31;
      }
      for (const auto& [byte, child] : children) {
        used_[slot(byte)] = true;
        units_[slot(byte)] = byte;
      }
      for (const auto& [byte, child] : children) Place(slot(byte), child, values);
      return;
    }
  }

  std::vector<uint32_t> units_;
  std::vector<bool> used_;
  std::string strings_;
};

}  // namespace llmrun
