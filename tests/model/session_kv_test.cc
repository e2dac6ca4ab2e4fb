// Types of keys and values, and contexts of several chunks of positions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "tests/support/loaded_model.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

std::vector<TokenId> SomeTokens(size_t count) {
  std::mt19937 random(17);
  std::vector<TokenId> tokens(count);
  for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 320);
  return tokens;
}

class KvModel {
 public:
  explicit KvModel(const TinyLlamaSpec& spec)
      : file_(BuildTinyLlama(spec)), loaded_(LoadedModel::Start(file_.path()).value()) {}

  // The logits of the last of `tokens`, which are given in parts.
  std::vector<float> LastLogits(std::span<const TokenId> tokens, size_t first_part, int threads,
                                const SessionOptions& options) const {
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
    const std::unique_ptr<Session> session = loaded_->NewSession(*pool, options).value();
    std::span<const float> logits =
        session->Forward(tokens.first(first_part), LogitsOf::kLast).value();
    for (size_t i = first_part; i < tokens.size(); ++i) {
      logits = session->Forward(tokens.subspan(i, 1), LogitsOf::kLast).value();
    }
    return {logits.begin(), logits.end()};
  }
  const LoadedModel& loaded() const { return *loaded_; }

 private:
  TempFile file_;
  std::unique_ptr<LoadedModel> loaded_;
};

struct KvPair {
  DType k;
  DType v;
  double bound;
};

// The bounds are those of keys and values rounded to 8, 8 and 4 bits.
constexpr KvPair kPairs[] = {
    {DType::kF32, DType::kF32, 1e-9},   {DType::kBF16, DType::kBF16, 1e-4},
    {DType::kQ8_0, DType::kQ8_0, 1e-4}, {DType::kQ8_0, DType::kF16, 1e-4},
    {DType::kF16, DType::kQ4_0, 2e-2},  {DType::kQ4_0, DType::kQ4_0, 5e-2},
};

TEST(SessionKv, EveryTypeIsNearTheReference) {
  const KvModel model({.n_heads = 2, .n_kv_heads = 1});
  const std::vector<TokenId> tokens = SomeTokens(24);
  const std::vector<double> all = ReferenceLlama(model.loaded().index).Logits(tokens);
  const std::vector<double> truth(all.end() - 320, all.end());
  std::vector<double> errors;
  for (const KvPair& pair : kPairs) {
    SessionOptions options;
    options.kv_type = pair.k;
    options.v_type = pair.v;
    errors.push_back(Nmse(model.LastLogits(tokens, 20, 2, options), truth));
    EXPECT_LE(errors.back(), pair.bound) << NameOf(pair.k) << ' ' << NameOf(pair.v);
  }
  EXPECT_GT(errors.back(), errors.front());
}

// One head of the cache or two: so that a token goes to members by head, and by chunk.
TEST(SessionKv, LongContextsDoNotDependOnThreadsOrBatches) {
  for (const uint32_t n_kv_heads : {1U, 2U}) {
    const KvModel model({.n_heads = 2, .n_kv_heads = n_kv_heads, .n_context = 640});
    const std::vector<TokenId> tokens = SomeTokens(520);
    for (const KvPair& pair : {kPairs[0], kPairs[3], kPairs[5]}) {
      SessionOptions options;
      options.kv_type = pair.k;
      options.v_type = pair.v;
      options.isa = SupportedIsaLevels().back();
      const std::vector<float> expected = model.LastLogits(tokens, tokens.size(), 1, options);
      for (const int threads : {1, 2, 3, 5, 16}) {
        for (const int64_t n_batch : {300, 31}) {
          options.n_batch = n_batch;
          for (const size_t first_part : {505U, 519U}) {
            EXPECT_EQ(model.LastLogits(tokens, first_part, threads, options), expected)
                << NameOf(pair.k) << ' ' << threads << " threads, batches of " << n_batch
                << ", single tokens from " << first_part;
          }
        }
      }
      options.n_batch = 512;
      options.isa = IsaLevel::kPortable;
      EXPECT_EQ(model.LastLogits(tokens, 515, 2, options), expected) << NameOf(pair.k);
    }
  }
}

TEST(SessionKv, RefusesBlocksThatHeadsDoNotHold) {
  const KvModel model({});  // heads of 16
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  for (const bool values : {false, true}) {
    SessionOptions options;
    (values ? options.v_type.emplace() : options.kv_type) = DType::kQ8_0;
    const auto session = model.loaded().NewSession(*pool, options);
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(session.error().message,
                HasSubstr("KV cache of type Q8_0: expected heads of a multiple of 32 elements, "
                          "found 16"));
    EXPECT_EQ(session.error().fix, "-ctk f16 -ctv f16");
  }
}

}  // namespace
}  // namespace llmrun
