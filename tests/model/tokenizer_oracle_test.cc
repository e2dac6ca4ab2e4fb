// The tokenizers against the ids that an existing runtime gives, on published vocabularies. The
// vectors are not in this repository: LLMRUN_ORACLE names their folder, else ../shared/oracle.
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/model/vocabulary_file.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";

fs::path OracleFolder() {
  const char* named = std::getenv("LLMRUN_ORACLE");  // NOLINT(concurrency-mt-unsafe)
  return named != nullptr ? fs::path(named) : fs::path(LLMRUN_SOURCE_DIR) / "../shared/oracle";
}

std::vector<std::string> SplitTexts(const std::string& all) {
  std::vector<std::string> texts;
  size_t begin = 0;
  for (size_t at = all.find(kSeparator); at != std::string::npos;
       at = all.find(kSeparator, begin)) {
    texts.push_back(all.substr(begin, at - begin));
    begin = at + kSeparator.size();
  }
  return texts;
}

// WordPiece loses case and spaces; falcon's vocabulary has no token for some control characters,
// which are left out.
bool GivesTextBack(std::string_view name) { return name != "falcon" && name != "bert-bge"; }

class TokenizerOracle : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = OracleFolder() / "tokenizer" / GetParam();
    if (!fs::exists(folder_)) GTEST_SKIP() << "no test vectors at " << folder_;
    auto loaded = LoadTokenizer(folder_ / "vocab.gguf");
    ASSERT_TRUE(loaded.has_value()) << loaded.error().OneLine();
    tokenizer_ = *std::move(loaded);
  }

  fs::path folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(TokenizerOracle, EveryLineOfTestOut) {
  const std::vector<std::string> texts = SplitTexts(ReadAll(folder_ / "test.inp"));
  ASSERT_EQ(texts.size(), 46U);
  std::ifstream expected_lines(folder_ / "test.out");
  for (const std::string& text : texts) {
    std::string line;
    ASSERT_TRUE(std::getline(expected_lines, line));
    std::istringstream numbers(line);
    const std::vector<TokenId> expected{std::istream_iterator<TokenId>(numbers), {}};
    EXPECT_EQ(tokenizer_->Encode(text, {}), expected) << "text: '" << text << "'";
  }
}

TEST_P(TokenizerOracle, EveryLineOfExtra) {
  std::ifstream lines(folder_ / "extra.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto entry = nlohmann::json::parse(line);
    const auto text = entry.at("text").get<std::string>();
    EXPECT_EQ(tokenizer_->Encode(text, {}), entry.at("ids").get<std::vector<TokenId>>())
        << "text: '" << text << "'";
    EXPECT_EQ(tokenizer_->Encode(text, {.add_special = true, .parse_special = true}),
              entry.at("ids_special").get<std::vector<TokenId>>())
        << "text: '" << text << "'";
  }
  EXPECT_EQ(count, std::string_view(GetParam()) == "bert-bge" ? 62 : 67);
}

TEST_P(TokenizerOracle, DecodingGivesTheTextBack) {
  if (!GivesTextBack(GetParam())) return;
  for (const std::string& text : SplitTexts(ReadAll(folder_ / "test.inp"))) {
    EXPECT_EQ(RoundTrip(*tokenizer_, text), text);
  }
  std::ifstream lines(folder_ / "extra.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto text = nlohmann::json::parse(line).at("text").get<std::string>();
    EXPECT_EQ(RoundTrip(*tokenizer_, text), text);
  }
}

TEST_P(TokenizerOracle, LongRunsAndStrayBytes) {
  for (const char* unit : {"A", "\n", " ", "7", "\x80", "\xE4\xB8\xAD"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    const std::vector<TokenId> ids = tokenizer_->Encode(text, {});
    if (GivesTextBack(GetParam())) {
      EXPECT_EQ(RoundTrip(*tokenizer_, text), text) << unit;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenizerOracle,
                         testing::Values("llama-spm", "gpt-2", "deepseek-llm", "falcon",
                                         "bert-bge"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace llmrun
