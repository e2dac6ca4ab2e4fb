// Weights whose rows are rearranged as they arrive.
#include "loader/row_packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/loader/resident_support.h"
#include "tests/loader/restrict_thread.h"

namespace llmrun {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kUnitRows = 48;  // of which no tensor has a whole number

// Turns the bytes of each unit round, so that twice is nothing.
struct TurnedRound {
  std::atomic<uint64_t> packed_bytes = 0;
  std::atomic<uint64_t> unpacked_bytes = 0;
  RowPacking packing = {
      .version = 9,
      .unit_rows = kUnitRows,
      .wants =
          [](const TensorIndex& index, TensorId id) {
            return index.at(id).n_dims == 2 && index.at(id).name != "token_embd.weight";
          },
      .pack = [this](const IndexedTensor& tensor,
                     std::span<std::byte> rows) { Turn(tensor, rows, &packed_bytes); },
      .unpack = [this](const IndexedTensor& tensor,
                       std::span<std::byte> rows) { Turn(tensor, rows, &unpacked_bytes); }};

  static void Turn(const IndexedTensor& tensor, std::span<std::byte> rows,
                   std::atomic<uint64_t>* bytes) {
    const uint64_t unit = kUnitRows * RowBytes(tensor.dtype, tensor.dims[0]);
    EXPECT_EQ(rows.size() % unit, 0U) << "whole units";
    for (size_t at = 0; at < rows.size(); at += unit) std::ranges::reverse(rows.subspan(at, unit));
    *bytes += rows.size();
  }
};

uint64_t UnitBytes(const TensorPiece& piece) {
  return piece.view.rows() / kUnitRows * kUnitRows * piece.view.row_bytes();
}

// All pieces of all tensors are what the files say, packed or not, and can be read as such.
void ExpectPacked(const Weights& weights, uint64_t hash_of_files) {
  const TensorIndex& index = weights.index();
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    const TensorId id{i};
    const UnpackedTensor unpacked = weights.Unpacked(id);
    const bool wanted = index.at(id).n_dims == 2 && index.at(id).name != "token_embd.weight" &&
                        index.at(id).dims[1] >= kUnitRows;
    EXPECT_EQ(weights.packed(id), wanted) << index.at(id).name;
    for (const TensorPiece& piece : weights.Pieces(id)) {
      std::vector<std::byte> bytes(piece.view.data, piece.view.data + piece.view.bytes);
      if (wanted) {
        const uint64_t unit = kUnitRows * piece.view.row_bytes();
        for (size_t at = 0; at < UnitBytes(piece); at += unit) {
          std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + unit));
        }
      }
      const auto same_rows =
          std::ranges::find(unpacked.pieces, piece.row_begin, &TensorPiece::row_begin);
      ASSERT_NE(same_rows, unpacked.pieces.end());
      EXPECT_EQ(std::memcmp(same_rows->view.data, bytes.data(), bytes.size()), 0)
          << index.at(id).name;
    }
  }
  EXPECT_EQ(HashAll(weights, 2), hash_of_files);
}

TEST(RowPacking, EveryLoaderPacksBeforeTheLatch) {
  const ResidentModel model;
  for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kIoUring, LoaderKind::kSplice}) {
    for (const bool hash : {false, true}) {
      SCOPED_TRACE(fmt::format("{} hash {}", NameOf(loader), hash));
      TurnedRound turned;
      LoadOptions options{.loader = loader, .hash = hash, .chunk_bytes = 100'000};
      options.packing = &turned.packing;
      options.pack = true;
      const auto weights = StartLoad(model.index, ThisMachine(), options).value();
      for (GroupId group = 0; group < model.index.group_count(); ++group) {
        ASSERT_TRUE(weights->WaitGroup(group));
      }
      ExpectPacked(*weights, model.hash);
      const auto report = weights->Finish();
      ASSERT_TRUE(report) << report.error().OneLine();
      EXPECT_GT(report->packed_bytes, turned.packed_bytes) << "tails of tensors stay as they are";
      EXPECT_GT(turned.packed_bytes, 0U);
      EXPECT_EQ(report->xxh3, hash ? model.hash : 0);
    }
  }
}

TEST(RowPacking, RowsAreCopiedAsTheyAreInTheFile) {
  const ResidentModel model;
  TurnedRound turned;
  LoadOptions options{.loader = LoaderKind::kRead};
  const auto plain = StartLoad(model.index, ThisMachine(), options).value();
  options.packing = &turned.packing;
  options.pack = true;
  const auto packed = StartLoad(model.index, ThisMachine(), options).value();
  ASSERT_TRUE(plain->Finish());
  ASSERT_TRUE(packed->Finish());
  const TensorId id = model.index.Find("blk.1.ffn_down.weight").value();
  ASSERT_TRUE(packed->packed(id));
  const TensorView view = plain->View(id);
  ASSERT_EQ(view.rows(), 192U);
  const std::vector<int32_t> rows = {191, 0, 47, 48, 100};
  std::vector<std::byte> out(rows.size() * view.row_bytes());
  ASSERT_TRUE(packed->CopyRows(id, rows, out.data()));
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(std::memcmp(out.data() + i * view.row_bytes(),
                          view.data + static_cast<uint64_t>(rows[i]) * view.row_bytes(),
                          view.row_bytes()),
              0);
  }
}

TEST(RowPacking, MappedFilesStayAsTheyAre) {
  const ResidentModel model;
  TurnedRound turned;
  LoadOptions options{.loader = LoaderKind::kMmap};
  options.packing = &turned.packing;
  options.pack = true;
  const auto weights = StartLoad(model.index, ThisMachine(), options).value();
  EXPECT_EQ(weights->Finish().value().packed_bytes, 0U);
  EXPECT_EQ(turned.packed_bytes, 0U);
  for (uint32_t i = 0; i < model.index.tensors().size(); ++i) {
    EXPECT_FALSE(weights->packed(TensorId{i}));
  }
}

// On nodes that this machine does not have, which are not bound to.
TEST(RowPacking, EachNodesPiecesArePackedByThemselves) {
  const ResidentModel model;
  for (const NumaMode mode : {NumaMode::kShard, NumaMode::kMirror}) {
    SCOPED_TRACE(NameOf(NumaPolicy{.mode = mode}));
    bool refused = false;
    std::thread([&] {
      refused = RefuseSyscall(SYS_mbind, EPERM);
      if (!refused) return;
      TurnedRound turned;
      LoadOptions options{.loader = LoaderKind::kRead, .hugepages = HugePages::kOff};
      options.numa.mode = mode;
      options.packing = &turned.packing;
      options.pack = true;
      const Machine machine = SyntheticMachine("pack:2 [numa(memory=8GB)] core:2 pu:1").value();
      const auto weights = StartLoad(model.index, machine, options).value();
      const auto report = weights->Finish();
      ASSERT_TRUE(report) << report.error().OneLine();
      EXPECT_EQ(weights->plan().arenas.size(), 2U);
      ExpectPacked(*weights, model.hash);
    }).join();
    if (!refused) GTEST_SKIP() << "no seccomp filters here";
  }
}

// --- resident weights ---

class ResidentPacked : public testing::Test {
 protected:
  LoadOptions Options(LoaderKind loader, bool pack = true) {
    LoadOptions options = model_.Options(loader);
    options.packing = &turned_.packing;
    options.pack = pack;
    options.hash = true;
    return options;
  }

  ResidentModel model_;
  TurnedRound turned_;
};

TEST_F(ResidentPacked, AreAttachedPacked) {
  const auto stored = LoadIntoStore(model_.index, ThisMachine(), Options(LoaderKind::kAuto));
  ASSERT_TRUE(stored) << stored.error().OneLine();
  EXPECT_EQ(stored->store.manifest.packing_version, 9U);
  EXPECT_EQ(stored->store.manifest.xxh3, model_.hash);
  const uint64_t packed_bytes = turned_.packed_bytes;
  // Who would not pack itself takes them, too.
  for (const bool pack : {true, false}) {
    const auto weights =
        StartLoad(model_.index, ThisMachine(), Options(LoaderKind::kResident, pack)).value();
    const auto report = weights->Finish();
    ASSERT_TRUE(report) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, model_.hash);
    EXPECT_THAT(report->fallbacks, IsEmpty());
    ExpectPacked(*weights, model_.hash);
  }
  EXPECT_EQ(turned_.packed_bytes, packed_bytes) << "once is enough";
}

TEST_F(ResidentPacked, OfAnotherVersionAreRefused) {
  ASSERT_TRUE(LoadIntoStore(model_.index, ThisMachine(), Options(LoaderKind::kAuto)));
  turned_.packing.version = 10;
  const auto other = LoadAll(model_.index, Options(LoaderKind::kResident));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(other.error().message, HasSubstr("packed in version 9, 10 expected"));
  const auto none = LoadAll(model_.index, model_.Options(LoaderKind::kResident));
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("packed in version 9, 0 expected"));
}

TEST_F(ResidentPacked, UnpackedOnesAreUsedWithANote) {
  ASSERT_TRUE(LoadIntoStore(model_.index, ThisMachine(), Options(LoaderKind::kAuto, false)));
  const auto report = LoadAll(model_.index, Options(LoaderKind::kResident));
  ASSERT_TRUE(report) << report.error().OneLine();
  EXPECT_THAT(report->fallbacks, ElementsAre(testing::Field(&Fallback::wanted, "packed weights")));
  EXPECT_EQ(report->packed_bytes, 0U);
  EXPECT_EQ(report->xxh3, model_.hash);
}

}  // namespace
}  // namespace llmrun
