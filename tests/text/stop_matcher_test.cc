#include "text/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace llmrun {
namespace {

TEST(StopMatcher, StopsInsideAPiece) {
  StopMatcher matcher({"END"});
  const StopMatcher::Output out = matcher.Push("one END two");
  EXPECT_EQ(out.text, "one ");
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(matcher.Flush(), "");
}

TEST(StopMatcher, HoldsBackWhatMayBeAStop) {
  StopMatcher matcher({"User:", "\n\n"});
  EXPECT_EQ(matcher.Push("a\n").text, "a");
  EXPECT_EQ(matcher.Push("Us").text, "\n");
  EXPECT_EQ(matcher.Push("e").text, "");
  EXPECT_EQ(matcher.Push("d Us").text, "Used ");
  const StopMatcher::Output out = matcher.Push("er: hi");
  EXPECT_TRUE(out.stopped);
  EXPECT_EQ(out.text, "");
}

TEST(StopMatcher, TheFirstOfSeveralCounts) {
  StopMatcher matcher({"ab", "b", ""});
  EXPECT_EQ(matcher.Push("xab").text, "x");
  StopMatcher overlapping({"aab"});
  EXPECT_EQ(overlapping.Push("aa").text, "");
  const StopMatcher::Output out = overlapping.Push("ab");  // "a" and then the stop
  EXPECT_EQ(out.text, "a");
  EXPECT_TRUE(out.stopped);
}

TEST(StopMatcher, FlushGivesTheRest) {
  StopMatcher matcher({"abc"});
  EXPECT_EQ(matcher.Push("xab").text, "x");
  EXPECT_EQ(matcher.Flush(), "ab");
  EXPECT_EQ(matcher.Flush(), "");
  StopMatcher none({});
  EXPECT_EQ(none.Push("abc").text, "abc");
}

// However a text is cut, what is shown is what stands before the first stop.
TEST(StopMatcher, CutsDoNotMatter) {
  std::mt19937 random(5);  // NOLINT(cert-msc51-cpp): the same every time
  const std::vector<std::string> stops = {"aba", "bb", "cabca"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    while (text.size() < 12) text += static_cast<char>('a' + random() % 3);
    size_t first = std::string::npos;
    for (const std::string& stop : stops) first = std::min(first, text.find(stop));
    StopMatcher matcher(stops);
    std::string shown;
    bool stopped = false;
    for (size_t pos = 0; pos < text.size() && !stopped;) {
      const size_t bytes = 1 + random() % 4;
      const StopMatcher::Output out = matcher.Push(std::string_view(text).substr(pos, bytes));
      shown += out.text;
      stopped = out.stopped;
      pos += bytes;
    }
    shown += matcher.Flush();
    EXPECT_EQ(stopped, first != std::string::npos) << text;
    EXPECT_EQ(shown, text.substr(0, first)) << text;
  }
}

}  // namespace
}  // namespace llmrun
