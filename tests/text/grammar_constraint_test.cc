#include "text/grammar/constraint.h"

#include <random>

#include "tests/text/grammar_support.h"
#include "tests/text/vocabularies.h"
#include "text/sampler.h"

namespace llmrun {
namespace {

// Bytes, some longer tokens (of which several end inside a character), and an end.
class GrammarConstraintTest : public ::testing::Test {
 protected:
  GrammarConstraintTest() {
    TokenizerSpec spec = BytePairSpec({});
    for (const char* text : {"ab", "abc", "abcd", "b\xC3", "{\"", "\":", "true", "tr", "\xE4\xB8",
                             "\xE4\xB8\xAD\xE4", "aaaaaaaa", "a", "}"}) {
      AddToken(&spec, MapBytes(text));
    }
    AddToken(&spec, "<control>", TokenType::kControl);
    end_ = AddToken(&spec, "<end>", TokenType::kControl);
    AddToken(&spec, "");
    spec.eos = end_;
    tokenizer_ = MakeTokenizer(spec);
  }

  GrammarConstraint Make(std::string_view gbnf) {
    return GrammarConstraint::Create(CompileGrammar(gbnf).value(), *tokenizer_).value();
  }
  // Which tokens may come after a text, one by one.
  std::vector<bool> Expected(const std::shared_ptr<const Grammar>& grammar,
                             const std::string& text) {
    std::vector<bool> allowed;
    for (size_t i = 0; i < tokenizer_->VocabSize(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const std::string piece = tokenizer_->Decode(id);
      allowed.push_back(!piece.empty() && Take(grammar, text + piece) != Taken::kNo);
    }
    allowed[static_cast<size_t>(end_)] = Take(grammar, text) == Taken::kWhole;
    return allowed;
  }

  TokenId end_ = 0;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(GrammarConstraintTest, AllowsWhatTheGrammarTakesTokenByToken) {
  std::mt19937 random(9);  // NOLINT(cert-msc51-cpp): the same every time
  for (const char* gbnf :
       {"root ::= \"abcd\"", "root ::= [ab]* \"c\"?", "root ::= (\"a\" | \"ab\" | \"abc\")+ \"}\"",
        "root ::= [^a]{0,3}", "root ::= v\nv ::= \"{\\\"\" [a-z]* \"\\\":\" (v | \"true\") \"}\"",
        "root ::= \"a\"{3,9}", "root ::= [\u4E00-\u9FFF]+"}) {
    const auto grammar = MakeGrammar(gbnf);
    for (int round = 0; round < 6; ++round) {
      GrammarConstraint constraint = Make(gbnf);
      std::string text;
      for (int step = 0; step < 12; ++step) {
        const std::vector<bool> allowed = *constraint.Allowed().value();
        ASSERT_EQ(allowed, Expected(grammar, text)) << gbnf << "\ntext: " << text;
        std::vector<TokenId> choices;
        for (size_t i = 0; i < allowed.size(); ++i) {
          if (allowed[i] && static_cast<TokenId>(i) != end_) {
            choices.push_back(static_cast<TokenId>(i));
          }
        }
        EXPECT_EQ(choices.empty(), constraint.AtEnd() && Take(grammar, text) == Taken::kWhole);
        if (choices.empty()) break;
        const TokenId id = choices[random() % choices.size()];
        text += tokenizer_->Decode(id);
        ASSERT_TRUE(constraint.Accept(id));
      }
    }
  }
}

TEST_F(GrammarConstraintTest, TheEndComesWhereTheTextIsComplete) {
  GrammarConstraint constraint = Make("root ::= \"ab\" \"c\"?");
  const auto end_allowed = [&] {
    return (*constraint.Allowed().value())[static_cast<size_t>(end_)];
  };
  EXPECT_FALSE(end_allowed());
  ASSERT_TRUE(constraint.Accept('a'));
  EXPECT_FALSE(end_allowed());
  ASSERT_TRUE(constraint.Accept('b'));
  EXPECT_TRUE(end_allowed());
  EXPECT_FALSE(constraint.AtEnd());
  ASSERT_TRUE(constraint.Accept('c'));
  EXPECT_TRUE(end_allowed());
  EXPECT_TRUE(constraint.AtEnd());
}

TEST_F(GrammarConstraintTest, CopiesGoTheirOwnWay) {
  GrammarConstraint one = Make("root ::= \"a\" \"b\"");
  GrammarConstraint two = one;
  ASSERT_TRUE(one.Accept('a'));
  EXPECT_TRUE((*one.Allowed().value())['b']);
  EXPECT_FALSE((*two.Allowed().value())['b']);
  EXPECT_TRUE((*two.Allowed().value())['a']);
}

TEST_F(GrammarConstraintTest, StacksAreForgotten) {
  // Each pair leaves stacks behind that no way needs any more.
  GrammarConstraint constraint = Make("root ::= item*\nitem ::= \"a\" item? \"b\"");
  for (int i = 0; i < 40; ++i) {
    for (int k = 0; k < 4000; ++k) ASSERT_TRUE(constraint.Accept('a'));
    for (int k = 0; k < 4000; ++k) ASSERT_TRUE(constraint.Accept('b'));
    const std::vector<bool>& allowed = *constraint.Allowed().value();
    EXPECT_TRUE(allowed['a'] && allowed[static_cast<size_t>(end_)] && !allowed['b']);
  }
}

TEST_F(GrammarConstraintTest, TheSamplerKeepsToIt) {
  for (const int mirostat : {0, 2}) {
    SamplerOptions options;
    options.seed = 4;
    options.temperature = 2;
    options.mirostat.version = mirostat;
    Sampler sampler = Sampler::Create(options).value();
    sampler.AcceptPrompt('x');  // no part of the grammar's text
    sampler.Constrain(Make("root ::= \"ab\"{2,5} \"}\""));
    const auto grammar = MakeGrammar("root ::= \"ab\"{2,5} \"}\"");
    std::string text;
    while (!sampler.AtEnd()) {
      const Result<TokenId> id = sampler.Sample(std::vector<float>(tokenizer_->VocabSize(), 0.0F));
      ASSERT_TRUE(id) << id.error().OneLine();
      ASSERT_NE(*id, end_);
      text += tokenizer_->Decode(*id);
      sampler.Accept(*id);
    }
    EXPECT_EQ(Take(grammar, text), Taken::kWhole) << text;
  }
}

TEST_F(GrammarConstraintTest, TheSamplerBeginsAgain) {
  Sampler sampler = Sampler::Create({.temperature = 0}).value();
  sampler.Constrain(Make("root ::= \"ab\""));
  const std::vector<float> logits(tokenizer_->VocabSize(), 1.0F);
  const auto answer = [&] {
    std::string text;
    while (!sampler.AtEnd()) {
      const TokenId id = sampler.Sample(logits).value();
      sampler.Accept(id);
      text += tokenizer_->Decode(id);
    }
    return text;
  };
  EXPECT_EQ(answer(), "ab");
  sampler.Restart();
  EXPECT_EQ(answer(), "ab");
}

TEST_F(GrammarConstraintTest, AVocabularyThatCannotSayItIsAnError) {
  Sampler sampler = Sampler::Create({}).value();
  sampler.Constrain(Make("root ::= []"));
  const Result<TokenId> id = sampler.Sample(std::vector<float>(tokenizer_->VocabSize(), 0.0F));
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().code, ErrorCode::kBadData);
  EXPECT_NE(id.error().message.find("grammar allows none"), std::string::npos);
}

}  // namespace
}  // namespace llmrun
