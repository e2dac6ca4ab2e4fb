// Vocabularies of published models as checkpoints have them, converted: the ids that an existing
// runtime gives, or those that the vocabulary gives under the name of the pre-tokenizer.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/hf_tokenizer.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/hf_checkpoint.h"
#include "tests/support/oracle.h"

namespace llmrun {
namespace {

using OracleJson = nlohmann::json;

Metadata MetadataOfVocabulary(const std::filesystem::path& path) {
  const std::string bytes = ReadAll(path);
  MemByteSource source(std::as_bytes(std::span(bytes)), path.string());
  return ParseGguf(source).value().metadata;
}

Result<std::unique_ptr<Tokenizer>> FromCheckpoint(const HfTokenizerFiles& files, size_t n_vocab) {
  ASSIGN_OR_RETURN(const std::vector<MetaEntry> entries,
                   ConvertHfTokenizer(files, {n_vocab, 1, 2}));
  Metadata metadata;
  for (const MetaEntry& entry : entries) EXPECT_TRUE(metadata.Add(entry)) << entry.key;
  ASSIGN_OR_RETURN(TokenizerSpec spec, TokenizerSpecFromMetadata(metadata));
  return Tokenizer::Create(std::move(spec));
}

// Texts of test.inp and extra.jsonl, as they are and as one.
std::vector<std::string> TextsOf(const std::filesystem::path& folder) {
  std::vector<std::string> texts = {ReadAll(folder / "test.inp")};
  std::ifstream lines(folder / "extra.jsonl");
  for (std::string line; std::getline(lines, line);) {
    texts.push_back(OracleJson::parse(line).at("text").get<std::string>());
  }
  EXPECT_GT(texts.size(), 60U);
  return texts;
}

void ExpectIdsOfExtra(const Tokenizer& tokenizer, const std::filesystem::path& folder) {
  std::ifstream lines(folder / "extra.jsonl");
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto entry = OracleJson::parse(line);
    const auto text = entry.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.Encode(text, {}), entry.at("ids").get<std::vector<TokenId>>()) << text;
    EXPECT_EQ(tokenizer.Encode(text, {.add_special = true, .parse_special = true}),
              entry.at("ids_special").get<std::vector<TokenId>>())
        << text;
  }
  EXPECT_GT(count, 60);
}

TEST(HfTokenizerOracle, SentencePieceModelAndJson) {
  const std::filesystem::path folder = OracleRoot() / "tokenizer/llama-spm";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  const Metadata metadata = MetadataOfVocabulary(folder / "vocab.gguf");
  const size_t n_vocab = metadata.GetArray("tokenizer.ggml.tokens").value()->size();
  HfTokenizerFiles files{.folder = "model"};
  files.config = R"({"add_bos_token": true, "unk_token": "<unk>"})";
  files.sentencepiece = SentencePieceBytes(metadata);
  const auto from_model = FromCheckpoint(files, n_vocab);
  ASSERT_TRUE(from_model) << from_model.error().OneLine();
  ExpectIdsOfExtra(**from_model, folder);

  files.sentencepiece.clear();
  OracleJson tokenizer = SentencePieceJson(metadata);
  files.tokenizer = tokenizer.dump();
  const auto from_json = FromCheckpoint(files, n_vocab);
  ASSERT_TRUE(from_json) << from_json.error().OneLine();
  ExpectIdsOfExtra(**from_json, folder);

  // As newer files of Mistral say it.
  tokenizer["normalizer"] = nullptr;
  tokenizer["pre_tokenizer"] = {{"type", "Metaspace"},
                                {"replacement", "\xe2\x96\x81"},
                                {"prepend_scheme", "first"},
                                {"split", false}};
  files.tokenizer = tokenizer.dump();
  const auto from_metaspace = FromCheckpoint(files, n_vocab);
  ASSERT_TRUE(from_metaspace) << from_metaspace.error().OneLine();
  ExpectIdsOfExtra(**from_metaspace, folder);

  // Gemma's way puts no space before a text.
  tokenizer["normalizer"] = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xe2\x96\x81"}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}};
  files.tokenizer = tokenizer.dump();
  const auto gemma = FromCheckpoint(files, n_vocab);
  ASSERT_TRUE(gemma) << gemma.error().OneLine();
  EXPECT_EQ((*gemma)->Encode("\xe2\x96\x81Hello", {}), (*from_json)->Encode("Hello", {}));
  EXPECT_NE((*gemma)->Encode("Hello", {}), (*from_json)->Encode("Hello", {}));
}

struct ByteLevelCase {
  const char* pre;
  OracleJson pre_tokenizer;
};

OracleJson SplitAndBytes(const std::string& regex) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}},
            {{"type", "ByteLevel"}, {"use_regex", false}}}}};
}

const ByteLevelCase kByteLevelCases[] = {
    {"gpt-2", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
    {"llama-bpe",
     SplitAndBytes(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                   R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")},
    {"qwen2", SplitAndBytes(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
                            R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)")},
};

class HfByteLevelOracle : public testing::TestWithParam<ByteLevelCase> {};

TEST_P(HfByteLevelOracle, GivesTheSameIds) {
  const std::filesystem::path folder = OracleRoot() / "tokenizer/gpt-2";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  const auto& [pre, pre_tokenizer] = GetParam();
  const Metadata metadata = MetadataOfVocabulary(folder / "vocab.gguf");
  TokenizerSpec spec = TokenizerSpecFromMetadata(metadata).value();
  HfTokenizerFiles files{.folder = "model"};
  files.config = R"({"add_bos_token": false})";
  files.tokenizer = ByteLevelJson(metadata, pre_tokenizer).dump();
  const auto converted = FromCheckpoint(files, spec.tokens.size());
  ASSERT_TRUE(converted) << converted.error().OneLine();
  EXPECT_EQ((*converted)->spec().pre, pre);
  spec.pre = pre;
  const auto direct = Tokenizer::Create(std::move(spec)).value();
  for (const std::string& text : TextsOf(folder)) {
    EXPECT_EQ((*converted)->Encode(text, {}), direct->Encode(text, {})) << text;
    EXPECT_EQ((*converted)->Encode(text, {.parse_special = true}),
              direct->Encode(text, {.parse_special = true}))
        << text;
  }
  if (std::string_view(pre) != "gpt-2") return;
  std::ifstream lines(folder / "extra.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto entry = OracleJson::parse(line);
    EXPECT_EQ((*converted)->Encode(entry.at("text").get<std::string>(), {}),
              entry.at("ids").get<std::vector<TokenId>>());
  }
}

INSTANTIATE_TEST_SUITE_P(All, HfByteLevelOracle, testing::ValuesIn(kByteLevelCases),
                         [](const auto& test) {
                           std::string name = test.param.pre;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace llmrun
