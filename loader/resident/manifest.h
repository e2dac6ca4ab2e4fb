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

// Where one image lies.
struct ResidentData {
  uint64_t image_bytes = 0;
  PageKind pages = PageKind::k4K;  // k2M, k1G: on hugetlbfs; else on tmpfs, kThp if it gave some
  std::string path;
  uint64_t inode = 0;
  uint64_t bytes = 0;  // image_bytes in whole pages
  bool operator==(const ResidentData&) const = default;
};

struct ResidentManifest {
  uint32_t layout_version = kImageLayoutVersion;
  std::vector<ResidentPart> parts;  // in their order; at least one
  NumaPolicy numa;                  // as ImageSpec has these three
  NodeSet nodes = {};
  std::vector<uint32_t> shares = {};
  std::vector<ResidentData> data;  // at least one; as the arenas of PlanImages()
  uint32_t packing_version = 0;    // of LoadOptions::packing; 0: the bytes of the files
  uint64_t xxh3 = 0;               // as LoadReport::xxh3
  int64_t pid = 0;                 // who loaded it
  int64_t created_seconds = 0;     // since 1970
  bool operator==(const ResidentManifest&) const = default;

  ImageSpec images() const { return {.numa = numa, .nodes = nodes, .shares = shares}; }
  uint64_t DataBytes() const;  // of all of them
  PageKind Pages() const;      // the smallest kind of them
};

std::string ToJson(const ResidentManifest& manifest);
Result<ResidentManifest> ParseManifest(const std::string& json, const std::string& label);

}  // namespace llmrun
