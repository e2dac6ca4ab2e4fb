#include "model/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "model/tokenizer_spec.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

Sampler Greedy(float repeat_penalty = 1) {
  SamplerOptions options;
  options.temperature = 0;
  options.repeat_penalty = repeat_penalty;
  return Sampler::Create(options).value();
}

TokenId ArgMax(std::span<const float> logits) {
  return static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin());
}

// A model of random weights with what it takes to talk to it.
class GeneratorTest : public ::testing::Test {
 protected:
  GeneratorTest() : GeneratorTest(TinyLlamaSpec{.n_context = 64}) {}
  explicit GeneratorTest(const TinyLlamaSpec& spec)
      : file_(BuildTinyLlama(spec)),
        model_(LoadedModel::Start(file_.path()).value()),
        pool_(MakeTestPool(2)) {
    NewSession({});
    SetTokenizer([](TokenizerSpec&) {});
  }

  void NewSession(const SessionOptions& options) {
    session_ = model_->NewSession(*pool_, options).value();
  }
  template <typename F>
  void SetTokenizer(F&& change) {
    TokenizerSpec spec = TokenizerSpecFromMetadata(model_->index.metadata()).value();
    change(spec);
    tokenizer_ = Tokenizer::Create(std::move(spec)).value();
  }
  Result<GenerateResult> Run(Sampler sampler, GenerateOptions options) {
    text_.clear();
    pieces_.clear();
    if (!options.on_text) {
      options.on_text = [this](std::string_view piece) {
        text_ += piece;
        pieces_.emplace_back(piece);
        return true;
      };
    }
    return Generate(*session_, *tokenizer_, sampler, prompt_, options);
  }
  // The first n tokens that greedy choice gives, by Forward() alone.
  std::vector<TokenId> GreedyTokens(size_t n) {
    session_->Truncate(0);
    std::vector<TokenId> ids;
    std::span<const float> logits = session_->Forward(prompt_, LogitsOf::kLast).value();
    while (ids.size() < n) {
      ids.push_back(ArgMax(logits));
      logits = session_->Forward(std::span(&ids.back(), 1), LogitsOf::kLast).value();
    }
    session_->Truncate(0);
    return ids;
  }

  TempFile file_;
  std::unique_ptr<LoadedModel> model_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<TokenId> prompt_ = {1, 270, 280, 290};
  std::string text_;
  std::vector<std::string> pieces_;
};

TEST_F(GeneratorTest, StopsAtTheLimit) {
  const std::vector<TokenId> ids = GreedyTokens(12);
  const auto result = Run(Greedy(), {.max_tokens = 12, .ignore_eos = true});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kLimit);
  EXPECT_EQ(result->prompt_tokens, 4);
  EXPECT_EQ(result->generated_tokens, 12);
  EXPECT_EQ(text_, tokenizer_->Decode(ids));
  EXPECT_EQ(session_->position(), 4 + 11);  // nobody asked for the logits of the last
  EXPECT_GT(result->prompt_seconds, 0);
  EXPECT_GE(result->first_token_seconds, result->prompt_seconds);
  EXPECT_GT(result->generate_seconds, 0);
}

TEST_F(GeneratorTest, RunsThePromptOnly) {
  const auto result = Run(Greedy(), {.max_tokens = 0});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kLimit);
  EXPECT_EQ(result->generated_tokens, 0);
  EXPECT_EQ(result->first_token_seconds, 0);
  EXPECT_EQ(session_->position(), 4);
  EXPECT_EQ(text_, "");
}

TEST_F(GeneratorTest, StopsWhenTheContextIsFull) {
  const auto result = Run(Greedy(), {.ignore_eos = true});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kContextFull);
  EXPECT_EQ(session_->position(), 64);
  EXPECT_EQ(result->generated_tokens, 64 - 4 + 1);
}

TEST_F(GeneratorTest, StopsAtTheEndOfText) {
  const std::vector<TokenId> ids = GreedyTokens(8);
  const TokenId last = ids[5];
  const auto first_at = std::ranges::find(ids, last) - ids.begin();
  SetTokenizer([&](TokenizerSpec& spec) { spec.eos = last; });
  const auto result = Run(Greedy(), {});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kEndOfText);
  EXPECT_EQ(result->generated_tokens, first_at);
  EXPECT_EQ(text_, tokenizer_->Decode(std::span(ids).first(static_cast<size_t>(first_at))));

  session_->Truncate(0);
  const auto ignored = Run(Greedy(), {.max_tokens = 8, .ignore_eos = true});
  ASSERT_TRUE(ignored) << ignored.error().OneLine();
  EXPECT_EQ(ignored->stop, StopReason::kLimit);
  EXPECT_EQ(ignored->generated_tokens, 8);
}

TEST_F(GeneratorTest, StopsAtAStopStringAcrossTokens) {
  const std::string all = tokenizer_->Decode(GreedyTokens(12));
  ASSERT_GE(all.size(), 8U);
  const std::string stop = all.substr(all.size() / 2, 3);  // wherever the tokens are cut
  const auto result = Run(Greedy(), {.max_tokens = 12, .ignore_eos = true, .stop = {stop}});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kStopString);
  EXPECT_EQ(text_, all.substr(0, all.find(stop)));

  session_->Truncate(0);
  const auto never = Run(Greedy(), {.max_tokens = 12, .ignore_eos = true, .stop = {all + "x"}});
  ASSERT_TRUE(never) << never.error().OneLine();
  EXPECT_EQ(never->stop, StopReason::kLimit);
  EXPECT_EQ(text_, all);  // held back to the end, but not lost
}

// Knows what is to come, and is wrong in every third guess.
class MixedDrafter final : public Drafter {
 public:
  explicit MixedDrafter(std::vector<TokenId> truth) : truth_(std::move(truth)) {}
  Result<std::vector<TokenId>> Draft(std::span<const TokenId> tokens, size_t most) override {
    std::vector<TokenId> drafts;
    for (size_t at = tokens.size(); drafts.size() < most && at < truth_.size(); ++at) {
      drafts.push_back(++guesses_ % 3 == 0 ? TokenId{5} : truth_[at]);
    }
    return drafts;
  }

 private:
  std::vector<TokenId> truth_;
  int guesses_ = 0;
};

TEST_F(GeneratorTest, GuessesChangeNothingButTheTime) {
  for (const float temperature : {0.0F, 1.5F}) {
    SamplerOptions sampling;
    sampling.temperature = temperature;
    sampling.seed = 7;
    sampling.repeat_penalty = 1.1F;
    const auto sampler = [&] { return Sampler::Create(sampling).value(); };
    session_->Truncate(0);
    const auto plain = Run(sampler(), {.ignore_eos = true});
    ASSERT_TRUE(plain) << plain.error().OneLine();
    EXPECT_EQ(plain->stop, StopReason::kContextFull);
    EXPECT_EQ(plain->drafts, 0);
    const std::string text = text_;
    const std::vector<TokenId> truth(session_->tokens().begin(), session_->tokens().end());
    for (const int64_t most : {1, 2, 3, 7}) {
      SCOPED_TRACE(most);
      for (const int64_t limit : {int64_t{-1}, int64_t{9}, int64_t{10}, int64_t{11}}) {
        MixedDrafter drafter(truth);
        session_->Truncate(0);
        const auto result =
            Run(sampler(),
                {.max_tokens = limit, .ignore_eos = true, .drafter = &drafter, .max_drafts = most});
        ASSERT_TRUE(result) << result.error().OneLine();
        EXPECT_EQ(text_, limit < 0 ? text : text.substr(0, text_.size()));
        EXPECT_EQ(result->generated_tokens, limit < 0 ? plain->generated_tokens : limit);
        EXPECT_EQ(session_->position(), limit < 0 ? 64 : 4 + limit - 1);
        EXPECT_TRUE(std::ranges::equal(session_->tokens(),
                                       std::span(truth).first(session_->tokens().size())));
        EXPECT_GT(result->right_drafts, 0);
        EXPECT_LT(result->right_drafts, result->drafts);
      }
    }
  }
}

TEST_F(GeneratorTest, AStopStringInsideAGuessedBatchLeavesNoMoreThanItBrought) {
  session_->Truncate(0);
  ASSERT_TRUE(Run(Greedy(), {.max_tokens = 20, .ignore_eos = true}));
  const std::vector<TokenId> truth(session_->tokens().begin(), session_->tokens().end());
  const std::string stop = text_.substr(text_.size() / 2, 3);
  session_->Truncate(0);
  const auto plain = Run(Greedy(), {.max_tokens = 20, .ignore_eos = true, .stop = {stop}});
  ASSERT_EQ(plain->stop, StopReason::kStopString);
  const std::string text = text_;
  const int64_t position = session_->position();
  MixedDrafter drafter(truth);
  session_->Truncate(0);
  const auto result =
      Run(Greedy(), {.max_tokens = 20, .ignore_eos = true, .stop = {stop}, .drafter = &drafter});
  ASSERT_EQ(result->stop, StopReason::kStopString);
  EXPECT_EQ(text_, text);
  EXPECT_EQ(session_->position(), position);
}

TEST(LookupDrafter, GuessesWhatFollowedBefore) {
  LookupDrafter drafter;
  const std::vector<TokenId> tokens = {1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 1, 2, 3};
  // After 1 2 3, not after the later 2 3.
  EXPECT_THAT(drafter.Draft(tokens, 3).value(), testing::ElementsAre(4, 5, 9));
  EXPECT_THAT(drafter.Draft(tokens, 1).value(), testing::ElementsAre(4));
  // After 2 3, since 6 2 3 is new; the last time counts.
  const std::vector<TokenId> other = {1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 1, 2, 3, 6, 2, 3};
  EXPECT_THAT(drafter.Draft(other, 2).value(), testing::ElementsAre(6, 2));
  // No further than the text goes.
  const std::vector<TokenId> same = {4, 4, 4, 4};
  LookupDrafter fresh;
  EXPECT_THAT(fresh.Draft(same, 5).value(), testing::ElementsAre(4));
  EXPECT_THAT(fresh.Draft(std::span(same).first(2), 5).value(), testing::IsEmpty());
  EXPECT_THAT(fresh.Draft({}, 5).value(), testing::IsEmpty());
}

TEST_F(GeneratorTest, StopsWhenTheReaderSaysSo) {
  int shown = 0;
  const auto result =
      Run(Greedy(), {.ignore_eos = true, .on_text = [&](std::string_view) { return ++shown < 3; }});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kInterrupted);
  EXPECT_GE(result->generated_tokens, 3);
}

TEST_F(GeneratorTest, InterruptionIsNoError) {
  int asked = 0;
  int allowed = 0;
  SessionOptions options;
  options.interrupted = [&] { return ++asked > allowed; };
  NewSession(options);
  const auto in_prompt = Run(Greedy(), {.ignore_eos = true});
  ASSERT_TRUE(in_prompt) << in_prompt.error().OneLine();
  EXPECT_EQ(in_prompt->stop, StopReason::kInterrupted);
  EXPECT_EQ(in_prompt->generated_tokens, 0);

  asked = 0;
  allowed = 3 + 4;  // the layers of the prompt, and the passes after 4 tokens
  const auto later = Run(Greedy(), {.ignore_eos = true});
  ASSERT_TRUE(later) << later.error().OneLine();
  EXPECT_EQ(later->stop, StopReason::kInterrupted);
  EXPECT_EQ(later->generated_tokens, 5);
}

TEST_F(GeneratorTest, SaysHowMuchTooLongThePromptIs) {
  prompt_.assign(65, 300);
  const auto result = Run(Greedy(), {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_EQ(result.error().message, "the prompt has 65 tokens, the context 64");
  EXPECT_EQ(result.error().fix, "-c 65");

  prompt_.assign(40, 300);
  ASSERT_TRUE(Run(Greedy(), {.max_tokens = 0}));
  const auto second = Run(Greedy(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "the prompt has 40 tokens, the context 64, 40 of them in use");
  EXPECT_EQ(second.error().fix, "-c 80");
}

TEST_F(GeneratorTest, APromptThatFillsTheContextGivesOneToken) {
  prompt_.assign(64, 300);
  const auto result = Run(Greedy(), {.ignore_eos = true});
  ASSERT_TRUE(result) << result.error().OneLine();
  EXPECT_EQ(result->stop, StopReason::kContextFull);
  EXPECT_EQ(result->generated_tokens, 1);
}

TEST_F(GeneratorTest, RefusesAnEmptyPromptAndAnotherVocabulary) {
  prompt_.clear();
  const auto empty = Run(Greedy(), {});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, ErrorCode::kUsage);

  prompt_ = {1};
  SetTokenizer([](TokenizerSpec& spec) {
    spec.tokens.pop_back();
    spec.scores.pop_back();
    spec.types.pop_back();
  });
  const auto other = Run(Greedy(), {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kBadData);
  EXPECT_THAT(other.error().message, HasSubstr("319 tokens, the model 320"));
}

TEST_F(GeneratorTest, TheSameSeedGivesTheSameText) {
  const auto with_seed = [&](uint64_t seed) {
    SamplerOptions options;
    options.temperature = 2;
    options.top_k = 0;
    options.seed = seed;
    session_->Truncate(0);
    EXPECT_TRUE(Run(Sampler::Create(options).value(), {.max_tokens = 30, .ignore_eos = true}));
    return text_;
  };
  const std::string first = with_seed(1);
  EXPECT_EQ(with_seed(1), first);
  EXPECT_NE(with_seed(2), first);
}

// Byte tokens come one at a time: the stream holds back the beginnings of characters, and in the
// end has lost nothing.
TEST_F(GeneratorTest, ShowsWholeCharacters) {
  SamplerOptions options;
  options.temperature = 3;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  options.seed = 5;
  const auto result =
      Run(Sampler::Create(options).value(), {.ignore_eos = true, .show_special = true});
  ASSERT_TRUE(result) << result.error().OneLine();

  session_->Truncate(0);
  Sampler sampler = Sampler::Create(options).value();
  std::span<const float> logits = session_->Forward(prompt_, LogitsOf::kLast).value();
  std::string expected;
  for (int64_t i = 0; i < result->generated_tokens; ++i) {
    const TokenId id = sampler.Sample(logits).value();
    expected += tokenizer_->Decode(id, true);
    if (session_->position() == session_->n_ctx()) break;
    logits = session_->Forward(std::span(&id, 1), LogitsOf::kLast).value();
  }
  EXPECT_EQ(text_, expected);
  EXPECT_LT(pieces_.size(), static_cast<size_t>(result->generated_tokens));
}

class TiedGeneratorTest : public GeneratorTest {
 protected:
  TiedGeneratorTest() : GeneratorTest({.n_layers = 1, .n_context = 64, .tied = true}) {}
};

// The prompt counts for the repetition penalty: with a huge one, nothing of it comes again.
TEST_F(TiedGeneratorTest, ThePenaltySeesThePrompt) {
  TokenId repeated = 258;
  do {
    ASSERT_LT(++repeated, 320) << "the random model never repeats its prompt";
    prompt_ = {1, repeated};
  } while (GreedyTokens(1)[0] != repeated);
  ASSERT_TRUE(Run(Greedy(), {.max_tokens = 1, .ignore_eos = true, .show_special = true}));
  EXPECT_EQ(text_, tokenizer_->Decode(repeated));
  session_->Truncate(0);
  ASSERT_TRUE(Run(Greedy(1e6F), {.max_tokens = 1, .ignore_eos = true, .show_special = true}));
  EXPECT_NE(text_, tokenizer_->Decode(repeated));
}

}  // namespace
}  // namespace llmrun
