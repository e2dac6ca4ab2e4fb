// The mappings of this process as /proc/self/smaps tells them. Internal to memory/.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace llmrun {

struct Vma {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string path;                // "" for anonymous memory
  uint64_t kernel_page_bytes = 0;  // more than 4096: hugetlb
  uint64_t rss_bytes = 0;          // without hugetlb
  uint64_t hugetlb_bytes = 0;      // in memory
  uint64_t thp_bytes = 0;          // mapped by huge entries: anonymous, shmem and file

  bool is_hugetlb() const { return kernel_page_bytes > 4096; }
};

// The mappings that touch [begin, end), in address order. `path` is a parameter for tests.
Result<std::vector<Vma>> ReadVmas(uint64_t begin, uint64_t end,
                                  const std::string& path = "/proc/self/smaps");

}  // namespace llmrun
