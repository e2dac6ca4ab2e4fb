// Guesses of a second model: what they are, that its cache follows the text, and that they change
// nothing of what is said.
#include "model/model_drafter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "model/generator.h"
#include "model/tokenizer_spec.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

// A model of random weights and a session of it, on threads that it may share.
struct Guesser {
  explicit Guesser(ThreadPool& pool, const TinyLlamaSpec& spec, const SessionOptions& options = {})
      : file(BuildTinyLlama(spec)),
        model(LoadedModel::Start(file.path()).value()),
        session(model->NewSession(pool, options).value()) {}

  // What it says behind these tokens, greedily, by Forward() alone, and how sure it was of each.
  std::vector<TokenId> Truth(std::vector<TokenId> tokens, size_t n,
                             std::vector<double>* probabilities = nullptr) const {
    const auto begin = static_cast<std::ptrdiff_t>(tokens.size());
    while (n-- > 0) {
      session->Truncate(0);
      const auto logits = session->Forward(tokens, LogitsOf::kLast).value();
      const auto best = std::ranges::max_element(logits);
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *best);
      if (probabilities != nullptr) probabilities->push_back(1 / sum);
      tokens.push_back(static_cast<TokenId>(best - logits.begin()));
    }
    session->Truncate(0);
    return {tokens.begin() + begin, tokens.end()};
  }

  TempFile file;
  std::unique_ptr<LoadedModel> model;
  std::unique_ptr<Session> session;
};

TinyLlamaSpec Spec() { return {.n_context = 64}; }

class ModelDrafterTest : public ::testing::Test {
 protected:
  struct Said {
    GenerateResult result;
    std::string text;
    std::vector<TokenId> tokens;
  };
  Said Say(const SamplerOptions& sampling, Drafter* drafter, int64_t most = 3) {
    const auto tokenizer =
        Tokenizer::Create(TokenizerSpecFromMetadata(main_.model->index.metadata()).value()).value();
    Sampler sampler = Sampler::Create(sampling).value();
    Said said;
    const GenerateOptions options = {.ignore_eos = true,
                                     .drafter = drafter,
                                     .max_drafts = most,
                                     .on_text = [&](std::string_view piece) {
                                       said.text += piece;
                                       return true;
                                     }};
    main_.session->Truncate(0);
    said.result = Generate(*main_.session, *tokenizer, sampler, prompt_, options).value();
    said.tokens.assign(main_.session->tokens().begin(), main_.session->tokens().end());
    return said;
  }
  static SamplerOptions Sampling(float temperature) {
    SamplerOptions sampling;
    sampling.temperature = temperature;
    sampling.seed = 7;
    return sampling;
  }

  std::unique_ptr<ThreadPool> pool_ = MakeTestPool(2);
  Guesser main_{*pool_, Spec()};
  const std::vector<TokenId> prompt_ = {1, 270, 280, 290};
};

TEST_F(ModelDrafterTest, GuessesWhatItWouldSay) {
  ModelDrafter drafter(*main_.session, 320, 0);
  const std::vector<TokenId> truth = main_.Truth(prompt_, 5);
  EXPECT_THAT(drafter.Draft(prompt_, 5).value(), ElementsAreArray(truth));
  EXPECT_THAT(drafter.Draft(prompt_, 0).value(), IsEmpty());
  EXPECT_THAT(drafter.Draft({}, 5).value(), IsEmpty());
}

TEST_F(ModelDrafterTest, ItsCacheFollowsTheText) {
  ModelDrafter drafter(*main_.session, 320, 0);
  Guesser judge(*pool_, Spec());
  std::vector<TokenId> tokens = prompt_;
  for (size_t round = 0; round < 12; ++round) {
    const std::vector<TokenId> drafts = drafter.Draft(tokens, 3).value();
    EXPECT_THAT(drafts, ElementsAreArray(judge.Truth(tokens, 3))) << round;
    // Some of them were right, then comes another token.
    tokens.insert(tokens.end(), drafts.begin(),
                  drafts.begin() + static_cast<std::ptrdiff_t>(round % 4));
    tokens.push_back(static_cast<TokenId>(260 + round));
  }
  const std::vector<TokenId> another = {1, 300, 301};
  EXPECT_THAT(drafter.Draft(another, 3).value(), ElementsAreArray(judge.Truth(another, 3)));
}

TEST_F(ModelDrafterTest, StopsWhereItIsNotSure) {
  std::vector<double> sure;
  const std::vector<TokenId> truth = main_.Truth(prompt_, 8, &sure);
  // The first that is less sure than all before it.
  const auto weak =
      std::ranges::find_if(sure, [&](double p) { return p < sure[0]; }) - sure.begin();
  ASSERT_LT(weak, 8);
  ModelDrafter drafter(*main_.session, 320, (sure[0] + sure[static_cast<size_t>(weak)]) / 2);
  EXPECT_THAT(drafter.Draft(prompt_, 8).value(),
              ElementsAreArray(std::span(truth).first(static_cast<size_t>(weak))));
  ModelDrafter certain(*main_.session, 320, 1);
  EXPECT_THAT(certain.Draft(prompt_, 8).value(), IsEmpty());
}

TEST_F(ModelDrafterTest, GuessesNoFurtherThanItsContext) {
  Guesser small(*pool_, Spec(), {.n_ctx = 6});
  ModelDrafter drafter(*small.session, 320, 0);
  EXPECT_EQ(drafter.Draft(prompt_, 9).value().size(), 3U);
  EXPECT_THAT(drafter.Draft(std::vector<TokenId>(7, 270), 9).value(), IsEmpty());
  EXPECT_EQ(drafter.Draft(prompt_, 9).value().size(), 3U);
}

TEST_F(ModelDrafterTest, NoTokenThatOneOfThemDoesNotHave) {
  const TokenId first = main_.Truth(prompt_, 1)[0];
  ModelDrafter drafter(*main_.session, first, 0);  // the checking model has only those before it
  EXPECT_THAT(drafter.Draft(prompt_, 3).value(), IsEmpty());
  ModelDrafter other(*main_.session, 400, 0);
  EXPECT_THAT(other.Draft(std::vector<TokenId>{1, 399, 270}, 3).value(), IsEmpty());
  EXPECT_FALSE(other.Draft(prompt_, 3).value().empty());
}

TEST_F(ModelDrafterTest, TheSameModelIsAlwaysRight) {
  Guesser same(*pool_, Spec());
  ModelDrafter drafter(*same.session, 320, 0);
  const Said plain = Say(Sampling(0), nullptr);
  for (const int64_t most : {1, 3, 8}) {
    const Said guessed = Say(Sampling(0), &drafter, most);
    EXPECT_EQ(guessed.text, plain.text) << most;
    EXPECT_EQ(guessed.tokens, plain.tokens) << most;
    EXPECT_GT(guessed.result.drafts, 20) << most;
    EXPECT_EQ(guessed.result.right_drafts, guessed.result.drafts) << most;
  }
}

TEST_F(ModelDrafterTest, AnotherModelChangesNothingButTheTime) {
  TinyLlamaSpec close = Spec();  // the same weights with fewer bits
  close.dtype = DType::kQ8_0;
  TinyLlamaSpec far = Spec();
  far.seed = 2;
  far.n_layers = 1;
  for (const TinyLlamaSpec& spec : {close, far}) {
    Guesser other(*pool_, spec);
    for (const float temperature : {0.0F, 1.5F}) {
      const Said plain = Say(Sampling(temperature), nullptr);
      for (const double min_probability : {0.0, 0.1}) {
        ModelDrafter drafter(*other.session, 320, min_probability);
        const Said guessed = Say(Sampling(temperature), &drafter, 4);
        EXPECT_EQ(guessed.text, plain.text);
        EXPECT_EQ(guessed.tokens, plain.tokens);
        EXPECT_EQ(guessed.result.generated_tokens, plain.result.generated_tokens);
        if (min_probability > 0) continue;
        if (spec.seed == close.seed) {
          EXPECT_GT(guessed.result.right_drafts, 0);
        } else {
          EXPECT_LT(guessed.result.right_drafts, guessed.result.drafts);
        }
      }
    }
  }
}

TEST_F(ModelDrafterTest, InterruptedItGuessesNothing) {
  bool interrupted = false;
  Guesser other(*pool_, Spec(), {.interrupted = [&] { return interrupted; }});
  ModelDrafter drafter(*other.session, 320, 0);
  EXPECT_EQ(drafter.Draft(prompt_, 3).value().size(), 3U);
  interrupted = true;
  EXPECT_THAT(drafter.Draft(std::vector<TokenId>{1, 260, 261}, 3).value(), IsEmpty());
}

class BrokenDrafter final : public Drafter {
 public:
  Result<std::vector<TokenId>> Draft(std::span<const TokenId>, size_t) override {
    return MakeError(ErrorCode::kOs, "the draft model cannot be read");
  }
};

TEST_F(ModelDrafterTest, ADrafterThatFailsFailsTheAnswer) {
  const auto tokenizer =
      Tokenizer::Create(TokenizerSpecFromMetadata(main_.model->index.metadata()).value()).value();
  Sampler sampler = Sampler::Create(Sampling(0)).value();
  BrokenDrafter drafter;
  const auto result = Generate(*main_.session, *tokenizer, sampler, prompt_,
                               {.ignore_eos = true, .drafter = &drafter});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "the draft model cannot be read");
}

TEST(CheckSameTokens, NamesTheFirstThatDiffers) {
  TokenizerSpec model;
  model.tokens = {"<s>", "a", "b"};
  TokenizerSpec draft = model;
  EXPECT_TRUE(CheckSameTokens(model, "big", draft, "small"));
  draft.tokens.emplace_back("[PAD3]");
  EXPECT_TRUE(CheckSameTokens(model, "big", draft, "small"));
  EXPECT_TRUE(CheckSameTokens(draft, "big", model, "small"));
  draft.tokens[1] = "x\n";
  const Status status = CheckSameTokens(model, "big", draft, "small");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUsage);
  EXPECT_EQ(status.error().OneLine(),
            "small cannot guess for big: expected the same vocabulary, found token 1 to be "
            "'x\\x0a' there and 'a' here; fix: a draft model of the same family, or none");
}

}  // namespace
}  // namespace llmrun
