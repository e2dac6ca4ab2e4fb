// The format of session files from bytes: what is refused although its hashes are right.
#include "model/session_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/session_bytes.h"

namespace llmrun {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

// A session of two runs of a byte a position, in a context of eight.
class SessionFormatTest : public ::testing::Test {
 protected:
  SessionFormatTest() : cache_(2 * 8) {
    reader_.path = "file";
    reader_.identity = {.model = 77,
                        .key_type = 1,
                        .value_type = 8,
                        .n_layers = 1,
                        .n_kv_heads = 1,
                        .head_dim = 1,
                        .value_dim = 1};
    reader_.n_ctx = 8;
    reader_.n_vocab = 100;
    reader_.runs = [this](int64_t positions) {
      const auto n = static_cast<size_t>(positions);
      return ByteRuns{std::span(cache_).first(n), std::span(cache_).subspan(8, n)};
    };
  }

  // The bytes of a file, with whatever was done to its header; its hashes are right.
  std::vector<std::byte> File(const std::vector<TokenId>& tokens, const std::string& note,
                              const std::function<void(SessionHeader&)>& change = {}) {
    std::vector<std::byte> kv;
    for (size_t i = 0; i < 2 * tokens.size(); ++i) kv.push_back(static_cast<std::byte>(i + 1));
    SessionHeader header = DescribeSession(reader_.identity, tokens, note, {kv});
    if (change) change(header);
    header.header_xxh3 = HeaderHash(header);
    return SessionBytes(header, tokens, note, {kv});
  }
  Result<SessionContents> Read(const std::vector<std::byte>& file) {
    size_t at = 0;
    const auto read = [&](std::span<std::byte> out) -> Status {
      EXPECT_LE(out.size(), file.size() - at);
      std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
      at += out.size();
      return {};
    };
    return ReadSession(file.size(), read, reader_);
  }

  std::vector<std::byte> cache_;
  SessionReader reader_;
};

TEST_F(SessionFormatTest, WhatIsReadIsWhatWasWritten) {
  const Result<SessionContents> contents = Read(File({5, 99, 0}, "a note"));
  ASSERT_TRUE(contents) << contents.error().OneLine();
  EXPECT_THAT(contents->tokens, ElementsAre(5, 99, 0));
  EXPECT_EQ(contents->note, "a note");
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(std::to_integer<size_t>(cache_[i]), i + 1);
    EXPECT_EQ(std::to_integer<size_t>(cache_[8 + i]), i + 4);
  }
  EXPECT_EQ(Read(File({}, ""))->tokens.size(), 0U);
}

TEST_F(SessionFormatTest, HeadersThatAskForTooMuchAreRefused) {
  struct Case {
    std::function<void(SessionHeader&)> change;
    ErrorCode code;
    std::string message;
  };
  const Case cases[] = {
      {[](SessionHeader& h) { h.magic[0] = 'l'; }, ErrorCode::kBadData, "not a session file"},
      {[](SessionHeader& h) { h.version = 2; }, ErrorCode::kUsage, "version 1 of the format"},
      {[](SessionHeader& h) { h.header_bytes = 0; }, ErrorCode::kUsage, "of the format"},
      {[](SessionHeader& h) { h.identity.model = 1; }, ErrorCode::kUsage, "another model"},
      {[](SessionHeader& h) { h.identity.n_layers = 2; }, ErrorCode::kUsage, "another model"},
      {[](SessionHeader& h) { h.identity.key_type = 8; }, ErrorCode::kUsage, "types of the KV"},
      {[](SessionHeader& h) { h.n_tokens = 9; }, ErrorCode::kUsage, "9 tokens, the context 8"},
      {[](SessionHeader& h) { h.n_tokens = kMax; }, ErrorCode::kUsage, "the context 8"},
      {[](SessionHeader& h) { h.n_tokens = 4; }, ErrorCode::kBadData,
       "expected 130 bytes, found 126"},
      {[](SessionHeader& h) { h.note_bytes = kMax; }, ErrorCode::kBadData, "cannot be used"},
      {[](SessionHeader& h) { h.kv_bytes = kMax; }, ErrorCode::kBadData, "cannot be used"},
      // Together they are the size of the file, modulo 2^64.
      {[](SessionHeader& h) {
         h.note_bytes = kMax;
         h.kv_bytes += 5;
       },
       ErrorCode::kBadData, "cannot be used"},
      {[](SessionHeader& h) {
         h.note_bytes += 1;
         h.kv_bytes -= 1;
       },
       ErrorCode::kBadData, "other sizes than they must have"},
      {[](SessionHeader& h) { h.body_xxh3 ^= 1; }, ErrorCode::kBadData, "contents are damaged"},
  };
  for (const Case& each : cases) {
    const Result<SessionContents> contents = Read(File({1, 2, 3}, "note", each.change));
    ASSERT_FALSE(contents) << each.message;
    EXPECT_EQ(contents.error().code, each.code) << contents.error().OneLine();
    EXPECT_THAT(contents.error().message, HasSubstr(each.message));
  }
}

TEST_F(SessionFormatTest, TokensOfNobodyAreRefused) {
  for (const TokenId id : {-1, 100, std::numeric_limits<TokenId>::max()}) {
    const Result<SessionContents> contents = Read(File({1, id}, ""));
    ASSERT_FALSE(contents) << id;
    EXPECT_EQ(contents.error().code, ErrorCode::kBadData);
    EXPECT_THAT(contents.error().message, HasSubstr("tokens that the model does not have"));
  }
}

TEST_F(SessionFormatTest, AFileShorterThanAHeaderIsNone) {
  std::vector<std::byte> file = File({}, "");
  file.pop_back();
  EXPECT_THAT(Read(file).error().message, HasSubstr("not a session file"));
  EXPECT_THAT(Read({}).error().message, HasSubstr("not a session file"));
}

}  // namespace
}  // namespace llmrun
