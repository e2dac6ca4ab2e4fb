// The tokenizer of the model that comes with the source, against the program that trained it.
#include <nlohmann/json.hpp>

#include "tests/model/vocabulary_file.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

class TinyTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    auto loaded = LoadTokenizer(root_ / "models/llm-run-tiny-f16.gguf");
    ASSERT_TRUE(loaded.has_value()) << loaded.error().OneLine();
    tokenizer_ = *std::move(loaded);
  }

  const fs::path root_ = LLMRUN_SOURCE_DIR;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(TinyTokenizer, AgreesWithTheTrainer) {
  std::ifstream lines(root_ / "tests/data/tiny/tokenizer.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto entry = nlohmann::json::parse(line);
    const auto text = entry.at("text").get<std::string>();
    EXPECT_EQ(tokenizer_->Encode(text, {}), entry.at("ids").get<std::vector<TokenId>>())
        << "text: '" << text << "'";
  }
  EXPECT_GE(count, 50);
}

TEST_F(TinyTokenizer, GivesTheHeldOutTextBack) {
  const std::string text = ReadAll(root_ / "models/heldout.txt");
  EXPECT_EQ(RoundTrip(*tokenizer_, text), text);
}

TEST_F(TinyTokenizer, BeginsWithBosAndEndsAtEos) {
  const TokenId end_of_text = 2047;
  EXPECT_EQ(tokenizer_->Encode("a", {.add_special = true}),
            (std::vector<TokenId>{end_of_text, 97}));
  EXPECT_EQ(tokenizer_->Encode("<|endoftext|>", {.parse_special = true}),
            std::vector<TokenId>{end_of_text});
  EXPECT_GT(tokenizer_->Encode("<|endoftext|>", {}).size(), 1U);
  EXPECT_TRUE(tokenizer_->IsEndOfGeneration(end_of_text));
}

}  // namespace
}  // namespace llmrun
