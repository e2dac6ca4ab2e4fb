// What a store of resident weights says about itself: which files its image was made of and where
// the image lies. A store without a manifest does not exist; the manifest is written last.
//
// Threads: values, pure functions. Failure: ParseManifest() gives kBadData.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/io/model_file.h"
#include "loader/plan/placement_plan.h"
#include "memory/page_kind.h"

namespace llmrun {

// One file of the model as it was when it was loaded.
struct ResidentPart {
  std::string path;
  FileIdentity identity;
  uint64_t header_bytes = 0;  // from the beginning of the file to its tensor data
  uint64_t header_xxh3 = 0;   // XXH3-64 of these
  bool operator==(const ResidentPart&) const = default;
};

struct ResidentManifest {
  uint32_t layout_version = kImageLayoutVersion;
  std::vector<ResidentPart> parts;  // in their order; at least one
  uint64_t arena_bytes = 0;         // of the image
  PageKind pages = PageKind::k4K;   // k2M, k1G: on hugetlbfs; else on tmpfs, kThp if it gave some
  std::string data_path;
  uint64_t data_inode = 0;
  uint64_t data_bytes = 0;      // arena_bytes in whole pages
  uint64_t xxh3 = 0;            // as LoadReport::xxh3
  int64_t pid = 0;              // who loaded it
  int64_t created_seconds = 0;  // since 1970
  bool operator==(const ResidentManifest&) const = default;
};

std::string ToJson(const ResidentManifest& manifest);
Result<ResidentManifest> ParseManifest(const std::string& json, const std::string& label);

}  // namespace llmrun
