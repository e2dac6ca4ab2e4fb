// What the tests of resident weights share: a folder on tmpfs, a model, a store of it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "loader/open_model.h"
#include "loader/resident/load_into_store.h"
#include "loader/resident/store.h"
#include "tests/loader/weights_support.h"

namespace llmrun {

// A folder for stores, removed at the end with what lies in it.
class TempStoreDir {
 public:
  TempStoreDir() {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << path_;
  }
  ~TempStoreDir() { std::filesystem::remove_all(path_); }
  TempStoreDir(const TempStoreDir&) = delete;
  TempStoreDir& operator=(const TempStoreDir&) = delete;

  const std::string& path() const { return path_; }
  StoreDir Open() const { return StoreDir::Open(path_).value().value(); }

  // The files in it whose names end so.
  std::vector<std::string> Files(const std::string& suffix) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (entry.path().string().ends_with(suffix)) files.push_back(entry.path().string());
    }
    return files;
  }

 private:
  std::string path_ = "/dev/shm/llmrun-resident-test-XXXXXX";
};

struct ResidentModel {
  const TempTree tree = {};
  const TempStoreDir dir = {};
  const std::string path = WriteModel(tree);
  const TensorIndex index = OpenModel(path).value();
  const uint64_t hash = HashOfFiles(index);

  LoadOptions Options(LoaderKind loader) const {
    return {.loader = loader, .hugepages = HugePages::kOff, .resident_dir = dir.path()};
  }
  Result<StoredLoad> Store() const {
    return LoadIntoStore(index, ThisMachine(), Options(LoaderKind::kAuto));
  }
  Result<LoadReport> Load(LoaderKind loader) const { return LoadAll(index, Options(loader)); }
};

}  // namespace llmrun
