// Files that become shorter while they are mapped, and what is made of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "loader/io/mapped_file.h"
#include "loader/open_model.h"
#include "loader/weights.h"
#include "tests/loader/weights_support.h"

namespace llmrun {
namespace {

TEST(BusGuard, PagesBehindTheNewEndReadAsZeros) {
  const TempTree tree;
  const std::string path = tree.Path("file");
  std::ofstream(path) << std::string(64 * 4096, 'x');
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const MappedFile mapping = MappedFile::Map(fd.get(), 64 * 4096, path).value();
  EXPECT_EQ(mapping.bytes()[63 * 4096], std::byte{'x'});
  EXPECT_FALSE(mapping.FirstMissing());
  std::filesystem::resize_file(path, 10 * 4096);
  EXPECT_EQ(mapping.bytes()[9 * 4096], std::byte{'x'});
  EXPECT_FALSE(mapping.FirstMissing());
  EXPECT_EQ(mapping.bytes()[20 * 4096 + 5], std::byte{0});
  EXPECT_EQ(mapping.FirstMissing(), 20U * 4096);
  EXPECT_EQ(mapping.bytes()[12 * 4096], std::byte{0});
  EXPECT_EQ(mapping.FirstMissing(), 12U * 4096);
  EXPECT_EQ(mapping.bytes()[63 * 4096], std::byte{0});
}

// A mapping that nobody guards: the process ends as it always did.
TEST(BusGuardDeathTest, ElsewhereSigbusStaysWhatItIs) {
  const TempTree tree;
  const std::string path = tree.Path("file");
  std::ofstream(path) << std::string(8 * 4096, 'x');
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const MappedFile guarded = MappedFile::Map(fd.get(), 8 * 4096, path).value();
  void* bare = ::mmap(nullptr, 8 * 4096, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(bare, MAP_FAILED);
  std::filesystem::resize_file(path, 4096);
  const auto* gone = static_cast<const volatile std::byte*>(bare) + 7 * 4096;
  EXPECT_DEATH(static_cast<void>(*gone), "");
  ::munmap(bare, 8 * 4096);
}

TEST(BusGuard, TheErrorNamesTheTensor) {
  const TempTree tree;
  const TensorIndex index = OpenModel(WriteModel(tree)).value();
  const auto weights = StartLoad(index, ThisMachine(), {.loader = LoaderKind::kMmap}).value();
  ASSERT_TRUE(weights->Finish());
  EXPECT_TRUE(weights->CheckIntact());
  // The last tensor in the file.
  const IndexedTensor* last = &index.tensors().front();
  for (const IndexedTensor& tensor : index.tensors()) {
    if (tensor.extent.offset > last->extent.offset) last = &tensor;
  }
  const std::string path = index.files().front().label;
  std::filesystem::resize_file(path, 4096);
  const TensorView view = weights->View(index.Find(last->name).value());
  EXPECT_EQ(view.data[view.bytes - 1], std::byte{0});
  const Status status = weights->CheckIntact();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kBadData);
  EXPECT_THAT(status.error().message, testing::HasSubstr(path));
  EXPECT_THAT(status.error().message, testing::HasSubstr("is gone from byte"));
}

}  // namespace
}  // namespace llmrun
