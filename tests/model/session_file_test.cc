// Sessions on disk: what comes back is bit for bit what was saved, or nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "model/generator.h"
#include "model/session_file.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

TinyLlamaSpec ShortSpec() {
  TinyLlamaSpec spec;
  spec.d_model = 64;
  spec.n_layers = 2;
  spec.n_heads = 4;
  spec.n_kv_heads = 2;
  spec.d_ff = 64;
  return spec;
}

// A model with sessions of it, and a path that is removed with it.
class Saved {
 public:
  explicit Saved(const TinyLlamaSpec& spec = ShortSpec())
      : file_(BuildTinyLlama(spec)), loaded_(LoadedModel::Start(file_.path()).value()) {
    path_ = file_.path() + ".session";
  }
  ~Saved() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  std::unique_ptr<Session> NewSession(SessionOptions options = {}) const {
    if (options.n_ctx == 0) options.n_ctx = 100;
    return loaded_->NewSession(*pool_, options).value();
  }
  const std::string& path() const { return path_; }

 private:
  TempFile file_;
  std::unique_ptr<ThreadPool> pool_ = MakeTestPool(2);
  std::unique_ptr<LoadedModel> loaded_;
  std::string path_;
};

std::vector<TokenId> Prompt(size_t count) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<TokenId>((i * 37 + 11) % 250));
  return ids;
}

std::vector<float> Forward(Session& session, std::span<const TokenId> ids) {
  const std::span<const float> logits = session.Forward(ids, LogitsOf::kLast).value();
  return {logits.begin(), logits.end()};
}

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void Overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(SessionFile, LogitsAfterARestoreAreTheSameBits) {
  const Saved model;
  const std::vector<TokenId> ids = Prompt(43);
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto first = model.NewSession({.kv_type = type});
    Forward(*first, std::span(ids).first(37));
    ASSERT_TRUE(SaveSession(*first, model.path(), "a note"));
    const std::vector<float> expected = Forward(*first, std::span(ids).subspan(37));

    // Also into a session of another length, which another conversation was in.
    const auto second = model.NewSession({.n_ctx = 333, .kv_type = type});
    Forward(*second, Prompt(60));
    EXPECT_EQ(RestoreSession(*second, model.path()).value(), "a note");
    EXPECT_EQ(second->position(), 37);
    EXPECT_THAT(second->tokens(), testing::ElementsAreArray(std::span(ids).first(37)));
    EXPECT_EQ(Forward(*second, std::span(ids).subspan(37)), expected);
  }
}

TEST(SessionFile, SoAreThoseOfLatents) {
  for (const bool cached : {false, true}) {
    const Saved model(TinyLlamaSpec{.n_kv_heads = cached ? 1U : 4U,
                                    .architecture = "deepseek2",
                                    .n_experts = 4,
                                    .n_experts_used = 2,
                                    .cached_latents = cached});
    const std::vector<TokenId> ids = Prompt(23);
    const auto first = model.NewSession();
    Forward(*first, std::span(ids).first(17));
    ASSERT_TRUE(SaveSession(*first, model.path()));
    const std::vector<float> expected = Forward(*first, std::span(ids).subspan(17));
    const auto second = model.NewSession();
    ASSERT_TRUE(RestoreSession(*second, model.path()));
    EXPECT_EQ(Forward(*second, std::span(ids).subspan(17)), expected);
  }
}

TEST(SessionFile, APrefixOfItServesAnotherPrompt) {
  const Saved model;
  std::vector<TokenId> ids = Prompt(40);
  const auto first = model.NewSession();
  Forward(*first, ids);
  ASSERT_TRUE(SaveSession(*first, model.path()));
  ids[25] = 7;
  const std::vector<float> expected = Forward(*model.NewSession(), ids);

  const auto second = model.NewSession();
  ASSERT_TRUE(RestoreSession(*second, model.path()));
  EXPECT_EQ(second->KeepPrefix(ids), 25);
  EXPECT_EQ(Forward(*second, std::span(ids).subspan(25)), expected);
}

TEST(SessionFile, KeepPrefixLeavesTheLastTokenToCompute) {
  const Saved model;
  const std::vector<TokenId> ids = Prompt(10);
  const auto session = model.NewSession();
  const std::vector<float> expected = Forward(*session, ids);
  EXPECT_EQ(session->KeepPrefix(ids), 9);
  EXPECT_EQ(Forward(*session, std::span(ids).last(1)), expected);
  EXPECT_EQ(session->KeepPrefix(std::span(ids).first(4)), 3);
  EXPECT_EQ(session->KeepPrefix({}), 0);
}

TEST(SessionFile, AnEmptySessionIsOneToo) {
  const Saved model;
  const auto session = model.NewSession();
  ASSERT_TRUE(SaveSession(*session, model.path(), "nothing yet"));
  Forward(*session, Prompt(5));
  EXPECT_EQ(RestoreSession(*session, model.path()).value(), "nothing yet");
  EXPECT_EQ(session->position(), 0);
}

TEST(SessionFile, DamageIsRefusedWhereverItIs) {
  const Saved model;
  const auto session = model.NewSession();
  Forward(*session, Prompt(20));
  ASSERT_TRUE(SaveSession(*session, model.path(), "note"));
  const std::string whole = Bytes(model.path());
  const size_t step = whole.size() / 97;
  for (size_t at = 0; at < whole.size(); at += at < 128 ? 1 : step) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    Overwrite(model.path(), flipped);
    const Result<std::string> result = RestoreSession(*session, model.path());
    ASSERT_FALSE(result) << "byte " << at;
    EXPECT_THAT(result.error().message, HasSubstr(model.path()));
    EXPECT_EQ(session->position(), 0);
  }
  for (size_t size = 0; size < whole.size(); size += size < 128 ? 1 : step) {
    Overwrite(model.path(), whole.substr(0, size));
    EXPECT_EQ(RestoreSession(*session, model.path()).error().code, ErrorCode::kBadData) << size;
  }
  Overwrite(model.path(), whole + "x");
  EXPECT_EQ(RestoreSession(*session, model.path()).error().code, ErrorCode::kBadData);
  Overwrite(model.path(), whole);
  EXPECT_EQ(RestoreSession(*session, model.path()).value(), "note");
}

TEST(SessionFile, WhatDiffersIsNamed) {
  const Saved model;
  const auto session = model.NewSession();
  Forward(*session, Prompt(20));
  ASSERT_TRUE(SaveSession(*session, model.path()));
  const auto why = [&](Session& other) {
    return RestoreSession(other, model.path()).error().OneLine();
  };
  EXPECT_THAT(why(*model.NewSession({.kv_type = DType::kF32})), HasSubstr("other types of the KV"));
  EXPECT_THAT(why(*model.NewSession({.kv_type = DType::kF16, .v_type = DType::kF32})),
              HasSubstr("other types of the KV"));
  EXPECT_THAT(why(*model.NewSession({.n_ctx = 19})), HasSubstr("fix: -c 20"));
  TinyLlamaSpec spec = ShortSpec();
  spec.seed += 1;  // the same shapes, other weights
  EXPECT_THAT(why(*Saved(spec).NewSession()), HasSubstr("made with another model"));
  spec = ShortSpec();
  spec.n_layers = 1;
  EXPECT_THAT(why(*Saved(spec).NewSession()), HasSubstr("made with another model"));
  EXPECT_EQ(RestoreSession(*session, model.path() + ".none").error().code, ErrorCode::kNoInput);
}

TEST(SessionFile, AFailedSaveLeavesTheOldFile) {
  const Saved model;
  const auto session = model.NewSession();
  ASSERT_TRUE(SaveSession(*session, model.path(), "old"));
  EXPECT_FALSE(SaveSession(*session, model.path() + ".none/file", "new"));
  EXPECT_EQ(RestoreSession(*session, model.path()).value(), "old");
}

}  // namespace
}  // namespace llmrun
