#include "text/pre_tokenizer_table.h"

#include <algorithm>

namespace llmrun {

namespace {

using Strings = std::string_view[];

// Why every expression is linear: each alternative is a run of one class, with at most one
// character before it, and no part of a run is looked at again after a match. Those that could
// scan a run from each of its characters anew are written so that they cannot: see kSpacesAtEnd,
// kThreesFromTheRight.

// Contractions with letters of both cases spelled out: caseless matching would take U+017F for s.
#define LLMRUN_CONTRACTION R"('[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
// The three ways a run of white space ends.
#define LLMRUN_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"

constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigits = R"(\p{N}+)";
constexpr std::string_view kThreeDigits = R"([0-9][0-9][0-9])";
constexpr std::string_view kOneToThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kNewline = R"([\r\n])";
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::string_view kLlama3 = LLMRUN_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" LLMRUN_SPACES;
constexpr std::string_view kQwen2 = LLMRUN_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" LLMRUN_SPACES;
// With combining marks in words.
constexpr std::string_view kQwen35 = LLMRUN_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" LLMRUN_SPACES;
constexpr std::string_view kSeedCoder =
    LLMRUN_CONTRACTION R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|)" LLMRUN_SPACES;
constexpr std::string_view kBailingMoe =
    R"('(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 = LLMRUN_CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|)" LLMRUN_SPACES;
// Everything but white space and the marks that end a clause; the parenthesis and the bar are in
// the published class, too.
constexpr std::string_view kClauses =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
// Published as the empty match (?=(\d{3})+(?!\d)), tried at every digit: groups of three, counted
// from the right. Here the run's end is looked for at its beginning only.
constexpr std::string_view kThreesFromTheRight = R"((?<!\d)\d{1,2}(?=(?:\d{3})++(?!\d))|\d{3})";
// Words of which the capitals come first: CamelCase is two.
#define LLMRUN_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LLMRUN_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define LLMRUN_BEFORE_WORD R"([^\r\n\p{L}\p{N}]?)"
constexpr std::string_view kTekken = LLMRUN_BEFORE_WORD LLMRUN_UPPER
    "*" LLMRUN_LOWER "+|" LLMRUN_BEFORE_WORD LLMRUN_UPPER "+" LLMRUN_LOWER
    "*|"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" LLMRUN_SPACES;
constexpr std::string_view kGpt4o = LLMRUN_BEFORE_WORD LLMRUN_UPPER
    "*" LLMRUN_LOWER "+(?:" LLMRUN_CONTRACTION ")?|" LLMRUN_BEFORE_WORD LLMRUN_UPPER
    "+" LLMRUN_LOWER "*(?:" LLMRUN_CONTRACTION
    ")?|"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" LLMRUN_SPACES;
// The same without Han, which is a run of its own. Published as an intersection of classes, which
// PCRE2 does not have: here as what is in none of the other categories.
#define LLMRUN_NO_HAN R"(\p{N}\p{P}\p{S}\p{Z}\p{C}\p{Han}])"
#define LLMRUN_UPPER_NO_HAN R"([^\p{Ll})" LLMRUN_NO_HAN
#define LLMRUN_LOWER_NO_HAN R"([^\p{Lu}\p{Lt})" LLMRUN_NO_HAN
constexpr std::string_view kKimiK2 =
    R"(\p{Han}+|)" LLMRUN_BEFORE_WORD LLMRUN_UPPER_NO_HAN "*" LLMRUN_LOWER_NO_HAN
    "+(?:" LLMRUN_CONTRACTION ")?|" LLMRUN_BEFORE_WORD LLMRUN_UPPER_NO_HAN "+" LLMRUN_LOWER_NO_HAN
    "*(?:" LLMRUN_CONTRACTION
    ")?|"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" LLMRUN_SPACES;
constexpr std::string_view kFalconPunctuation = R"([\p{P}\$\+<=>\^~\|`]+)";
constexpr std::string_view kDefaultPunctuation = R"([\p{P}\$\+<=>\^~\|]+)";

// The letters with case, as deepseek-llm lists them (\p{L&} has some hundred more).
constexpr std::string_view kDeepseekWord =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kDeepseekPunctuation =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
// Published as \s+$, with which an interpreter looks at a run of spaces before a letter once for
// each of its spaces. A match of that can only begin where the run begins, and takes all of it.
constexpr std::string_view kSpacesAtEnd = R"((?<!\s)\s++$)";
constexpr std::string_view kDeepseekCjk =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kDeepseek3Cjk =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kDeepseek3Rest =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|)" LLMRUN_SPACES;

constexpr Strings kGpt2Names = {
    "gpt-2",      "mpt",         "olmo",         "phi-2",      "jais",    "gigachat",
    "jina-es",    "jina-de",     "jina-v2-es",   "jina-v2-de", "exaone4", "roberta-bpe",
    "jina-v1-en", "modern-bert", "jina-v2-code", "trillion",   "a.x-4.0", "granite-docling",
    "mellum"};
constexpr Strings kGpt2Patterns = {kGpt2};
constexpr Strings kLlama3Names = {"llama-bpe", "llama3",  "llama-v3", "falcon3",
                                  "falcon-h1", "pixtral", "midm-2.0", "lfm2"};
constexpr Strings kDbrxNames = {"dbrx", "smaug-bpe", "chatglm-bpe", "glm4"};
constexpr Strings kLlama3Patterns = {kLlama3};
constexpr Strings kQwen2Names = {"qwen2",   "stablelm2", "deepseek-r1-qwen", "megrez",
                                 "hunyuan", "grok-2",    "solar-open",       "kormo"};
constexpr Strings kQwen2Patterns = {kQwen2};
constexpr Strings kQwen35Names = {"qwen35"};
constexpr Strings kQwen35Patterns = {kQwen35};
constexpr Strings kSeedCoderNames = {"seed-coder"};
constexpr Strings kSeedCoderPatterns = {kSeedCoder};
constexpr Strings kBailingMoeNames = {"bailingmoe", "bailingmoe2", "llada-moe"};
constexpr Strings kBailingMoePatterns = {kBailingMoe};
constexpr Strings kMiniCpm5Names = {"minicpm5"};
constexpr Strings kMiniCpm5Patterns = {kOneToThreeDigits, kMiniCpm5};
constexpr Strings kBloomNames = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr Strings kBloomPatterns = {kClauses};
constexpr Strings kVikingNames = {"viking"};
constexpr Strings kVikingPatterns = {kClauses, kDigit};
constexpr Strings kSuperBpeNames = {"superbpe"};
constexpr Strings kSuperBpePatterns = {kDigits, kThreesFromTheRight};
constexpr Strings kKimiK2Names = {"kimi-k2"};
constexpr Strings kKimiK2Patterns = {kKimiK2};
constexpr Strings kStarcoderNames = {"starcoder", "smollm", "refact",     "command-r",
                                     "codeshell", "exaone", "minerva-7b", "mellum2"};
constexpr Strings kStarcoderPatterns = {kDigit, kGpt2};
constexpr Strings kFalconNames = {"falcon"};
constexpr Strings kFalconPatterns = {kFalconPunctuation, kGpt2, kThreeDigits};
constexpr Strings kTekkenNames = {"tekken"};
constexpr Strings kTekkenPatterns = {kTekken};
constexpr Strings kGpt4oNames = {"gpt-4o", "llama4", "kanana2", "minimax-m2"};
constexpr Strings kGpt4oPatterns = {kGpt4o};
constexpr Strings kDeepseekLlmNames = {"deepseek-llm"};
constexpr Strings kDeepseekLlmPatterns = {kNewline,     kDeepseekWord, kDeepseekPunctuation,
                                          kSpacesAtEnd, kDeepseekCjk,  kDigits};
constexpr Strings kDeepseekCoderNames = {"deepseek-coder"};
constexpr Strings kDeepseekCoderPatterns = {kNewline, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk,
                                            kDigit};
constexpr Strings kDeepseek3Names = {"deepseek-v3", "hunyuan-dense", "joyai-llm"};
constexpr Strings kDeepseek3Patterns = {kOneToThreeDigits, kDeepseek3Cjk, kDeepseek3Rest};
constexpr Strings kDefaultNames = {"default"};
constexpr Strings kDefaultPatterns = {kDefaultPunctuation, kGpt2, kDigits, kThreeDigits};

constexpr PreTokenizerRule kRules[] = {
    {kGpt2Names, kGpt2Patterns},
    {kLlama3Names, kLlama3Patterns, true, true},
    {kDbrxNames, kLlama3Patterns},
    {kQwen2Names, kQwen2Patterns},
    {kStarcoderNames, kStarcoderPatterns},
    {kFalconNames, kFalconPatterns},
    {kTekkenNames, kTekkenPatterns, true, true},
    {kGpt4oNames, kGpt4oPatterns},
    {kDeepseekLlmNames, kDeepseekLlmPatterns},
    {kDeepseekCoderNames, kDeepseekCoderPatterns},
    {kDeepseek3Names, kDeepseek3Patterns},
    {kQwen35Names, kQwen35Patterns},
    {kSeedCoderNames, kSeedCoderPatterns},
    {kBailingMoeNames, kBailingMoePatterns},
    {kMiniCpm5Names, kMiniCpm5Patterns, true},
    {kBloomNames, kBloomPatterns},
    {kVikingNames, kVikingPatterns},
    {kSuperBpeNames, kSuperBpePatterns},
    {kKimiK2Names, kKimiK2Patterns},
    {kDefaultNames, kDefaultPatterns},
};

}  // namespace

std::span<const PreTokenizerRule> AllPreTokenizerRules() { return kRules; }

const PreTokenizerRule* FindPreTokenizerRule(std::string_view name) {
  if (name.empty()) name = kDefaultNames[0];
  for (const PreTokenizerRule& rule : kRules) {
    if (std::find(rule.names.begin(), rule.names.end(), name) != rule.names.end()) return &rule;
  }
  return nullptr;
}

std::string KnownPreTokenizers() {
  std::string out;
  for (const PreTokenizerRule& rule : kRules) {
    for (const std::string_view name : rule.names) {
      if (!out.empty()) out += ", ";
      out += name;
    }
  }
  return out;
}

}  // namespace llmrun
