// The device's own limit, measured by fio: sequential O_DIRECT reads of the model's files, 4 MiB
// each, 16 in flight. Where fio's buffers lie decides half of its rate, so they are put into huge
// pages where there are any, and what they got is read back from the kernel.
//
// Source: fio(1), --output-format=json. Huge pages without privileges: glibc's tunable
// glibc.malloc.hugetlb=1 makes malloc(3) ask for transparent ones.
// Threads: Single-thread. Failure: kUnavailable when fio or O_DIRECT is not to be had, kOs.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/output.h"
#include "loader/index/tensor_index.h"
#include "memory/machine.h"

namespace llmrun {

struct FioSetup {
  std::string program;
  std::string version;                // "fio-3.33"
  std::string engine = "io_uring";    // or "libaio" where that is refused
  std::string memory;                 // --iomem
  std::string pages;                  // that the buffers lie in: "2M", "THP", "4K"
  uint64_t block_bytes = 4ULL << 20;  // of one read: less for small files
};

// Bytes per second of one run.
Result<double> RunFio(const FioSetup& setup, const TensorIndex& index);

// Finds fio, and by one run each what it can do here. Says in a note when its buffers are in 4K
// pages.
Result<FioSetup> PrepareFio(const Machine& machine, const TensorIndex& index);

Json FioJson(const FioSetup& setup);

}  // namespace llmrun
