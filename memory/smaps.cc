#include "memory/smaps.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <string_view>

#include "base/units.h"

namespace llmrun {
namespace {

// "7f00-7f80 rw-p 00000000 00:00 0    /path": true and the header fields, else false.
bool ParseHeader(std::string_view line, Vma* vma) {
  const char* end = line.data() + line.size();
  const auto [dash, begin_error] = std::from_chars(line.data(), end, vma->begin, 16);
  if (begin_error != std::errc() || dash == end || *dash != '-') return false;
  const auto [rest, end_error] = std::from_chars(dash + 1, end, vma->end, 16);
  if (end_error != std::errc() || rest == end || *rest != ' ') return false;
  // Five fields stand before the path; it may hold spaces itself.
  size_t at = 0;
  for (int field = 0; field < 5; ++field) {
    at = line.find(' ', at);
    if (at == line.npos) return true;
    at = line.find_first_not_of(' ', at);
    if (at == line.npos) return true;
  }
  vma->path = line.substr(at);
  return true;
}

// "Rss:      12 kB"
void ParseField(std::string_view line, Vma* vma) {
  const size_t colon = line.find(':');
  if (colon == line.npos) return;
  const size_t digits = line.find_first_not_of(' ', colon + 1);
  if (digits == line.npos) return;
  uint64_t kilobytes = 0;
  std::from_chars(line.data() + digits, line.data() + line.size(), kilobytes);
  const uint64_t bytes = kilobytes * kKiB;
  const std::string_view key = line.substr(0, colon);
  if (key == "Rss") vma->rss_bytes = bytes;
  if (key == "KernelPageSize") vma->kernel_page_bytes = bytes;
  if (key == "AnonHugePages" || key == "ShmemPmdMapped" || key == "FilePmdMapped") {
    vma->thp_bytes += bytes;
  }
  if (key == "Private_Hugetlb" || key == "Shared_Hugetlb") vma->hugetlb_bytes += bytes;
}

}  // namespace

Result<std::vector<Vma>> ReadVmas(uint64_t begin, uint64_t end, const std::string& path) {
  std::ifstream smaps(path);
  if (!smaps) return OsError(errno, path);
  std::vector<Vma> vmas;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    Vma header;
    if (!ParseHeader(line, &header)) {
      if (inside) ParseField(line, &vmas.back());
      continue;
    }
    if (header.begin >= end) break;  // the kernel does the work while we read: stop early
    inside = header.end > begin;
    if (inside) vmas.push_back(std::move(header));
  }
  return vmas;
}

}  // namespace llmrun
