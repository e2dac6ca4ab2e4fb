#include "loader/io/receive_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace llmrun {
namespace {

std::string Text(size_t bytes) {
  std::string text(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i * i % 23);
  return text;
}

void WriteAllAndClose(UniqueFd fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n =
        ::write(fd.get(), text.data() + done, std::min<size_t>(77'777, text.size() - done));
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

std::string Contents(const UniqueFd& fd) {
  std::string text(static_cast<size_t>(::lseek(fd.get(), 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(fd.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return text;
}

TEST(ReceiveIntoMemory, EveryByteOfAPipeAndOfASocket) {
  const std::string text = Text(3'333'333);
  for (const bool is_pipe : {true, false}) {
    int ends[2] = {-1, -1};
    ASSERT_EQ(is_pipe ? ::pipe(ends) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    const UniqueFd from(ends[0]);
    std::jthread writer([&text, to = ends[1]] { WriteAllAndClose(UniqueFd(to), text); });
    const auto received = ReceiveIntoMemory(from.get());
    ASSERT_TRUE(received) << received.error().OneLine();
    EXPECT_EQ(Contents(*received), text);
  }
}

TEST(ReceiveIntoMemory, NothingIsNoInput) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd from(ends[0]);
  ::close(ends[1]);
  const auto received = ReceiveIntoMemory(from.get());
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::kNoInput);
  EXPECT_FALSE(received.error().fix.empty());
}

}  // namespace
}  // namespace llmrun
