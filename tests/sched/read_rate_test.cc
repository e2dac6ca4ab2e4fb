#include "sched/read_rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Shares = std::vector<std::vector<std::span<const std::byte>>>;

// [member]: first byte and number of bytes of each run.
std::vector<std::vector<std::pair<int64_t, size_t>>> RunsIn(const Shares& shares,
                                                            const std::byte* base) {
  std::vector<std::vector<std::pair<int64_t, size_t>>> runs;
  for (const auto& share : shares) {
    auto& of_member = runs.emplace_back();
    for (const auto& run : share) of_member.emplace_back(run.data() - base, run.size());
  }
  return runs;
}

TEST(ReadRate, SumsAllWords) {
  std::vector<uint64_t> words(1001);
  uint64_t sum = 0;
  for (size_t i = 0; i < words.size(); ++i) sum += words[i] = i * 0x0123'4567'89AB'CDEF;
  const auto bytes = std::as_bytes(std::span(words));
  // The bytes after the last word are one that ends in zeros.
  uint64_t last = 0;
  std::memcpy(&last, bytes.data() + 8, 3);
  for (const auto read : {SumWords, SumWordsAhead}) {
    EXPECT_EQ(read(bytes), sum);
    EXPECT_EQ(read({}), 0U);
    EXPECT_EQ(read(bytes.first(11)), words[0] + last);
  }
}

TEST(ReadRate, SharesAreEqualAndOfTheNearest) {
  const std::vector<std::byte> memory(1024);
  const auto all = std::span(memory);
  const std::vector<ReadArea> areas = {
      {all.first(256), 0U}, {all.subspan(256, 512), 1U}, {all.subspan(768), std::nullopt}};
  const Team team({0U, 0U, 1U, 1U}, {1, 1, 1, 0});
  EXPECT_THAT(RunsIn(ReadShares(team, areas), memory.data()),
              ElementsAre(ElementsAre(std::pair(0, 128), std::pair(768, 64)),
                          ElementsAre(std::pair(128, 128), std::pair(832, 64)),
                          ElementsAre(std::pair(256, 512), std::pair(896, 128)), IsEmpty()));
  // Nobody works on node 1: its area is for all who work.
  const Team one_node({0U, 0U, 1U, 1U}, {1, 1, 0, 0});
  EXPECT_THAT(RunsIn(ReadShares(one_node, std::span(areas).subspan(1, 1)), memory.data()),
              ElementsAre(ElementsAre(std::pair(256, 256)), ElementsAre(std::pair(512, 256)),
                          IsEmpty(), IsEmpty()));
}

TEST(ReadRate, MeasuresWithWhoeverWorks) {
  const std::vector<std::byte> memory(100'000);
  const ReadArea area = {memory, std::nullopt};
  ThreadPoolOptions options;
  options.threads = 2;
  const auto pool = ThreadPool::Create(options).value();
  EXPECT_GT(MeasureReadRate(*pool, std::span(&area, 1), 0), 0);
  pool->SetTeam(
      std::make_shared<Team>(std::vector<std::optional<unsigned>>(2), std::vector<double>{1, 0}));
  EXPECT_GT(MeasureReadRate(*pool, std::span(&area, 1), 0), 0);
}

}  // namespace
}  // namespace llmrun
