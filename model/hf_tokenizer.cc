#include "model/hf_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <utility>

#include "loader/gguf/printable.h"
#include "model/hf_json.h"
#include "model/hf_spm.h"
#include "text/sentencepiece_model.h"

namespace llmrun {
namespace {

using TokenizerJson = nlohmann::json;

struct KnownPattern {
  std::string_view regex;
  bool ignore_merges;    // what is a token as it stands is taken whole
  std::string_view pre;  // tokenizer.ggml.pre
};
// As tokenizer.json has them, after a Split; source: the models themselves.
#define LLMRUN_HF_CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
#define LLMRUN_HF_TAIL R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
constexpr std::string_view kLlama3Regex =
    LLMRUN_HF_CONTRACTION R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)" LLMRUN_HF_TAIL;
constexpr std::string_view kQwen2Regex =
    LLMRUN_HF_CONTRACTION R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)" LLMRUN_HF_TAIL;
constexpr std::string_view kTekkenRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Where a file does not say whether merges are ignored, the first with its expression holds.
constexpr KnownPattern kPatterns[] = {
    {kLlama3Regex, true, "llama-bpe"}, {kLlama3Regex, false, "dbrx"},
    {kQwen2Regex, false, "qwen2"},     {kTekkenRegex, true, "tekken"},
    {kTekkenRegex, false, "tekken"},
};

class TokenizerConverter {
 public:
  TokenizerConverter(const HfTokenizerFiles& files, const HfTokenizerFacts& facts)
      : files_(files), facts_(facts) {}

  Result<std::vector<MetaEntry>> Convert() {
    RETURN_IF_ERROR(Parse(files_.config, "tokenizer_config.json", &config_));
    RETURN_IF_ERROR(Parse(files_.tokenizer, "tokenizer.json", &json_));
    RETURN_IF_ERROR(files_.sentencepiece.empty() ? ReadBpe() : ReadSentencePiece());
    RETURN_IF_ERROR(ReadAdded());
    FillGaps();
    WriteSpec();
    return std::move(entries_);
  }

 private:
  tl::unexpected<Error> Bad(const char* file, const std::string& why) const {
    return MakeError(ErrorCode::kBadData, "{}/{}: {}", files_.folder, file, why);
  }

  Status Parse(const std::string& text, const char* file, TokenizerJson* out) const {
    if (text.empty()) return {};
    *out = TokenizerJson::parse(text, nullptr, false);
    if (!out->is_object()) return Bad(file, "no JSON object");
    return {};
  }

  Status SetToken(int64_t id, std::string text, TokenType type) {
    if (id < 0 || static_cast<size_t>(id) >= facts_.n_vocab) {
      return Bad("tokenizer.json", fmt::format("token {} has the id {}, the model has {} tokens",
                                               Quoted(text), id, facts_.n_vocab));
    }
    const auto at = static_cast<size_t>(id);
    spec_.tokens[at] = std::move(text);
    spec_.types[at] = type;
    set_[at] = true;
    return {};
  }

  Status ReadSentencePiece() {
    ASSIGN_OR_RETURN(
        spec_, ParseSentencePieceModel(files_.sentencepiece, files_.folder + "/tokenizer.model"));
    if (spec_.tokens.size() > facts_.n_vocab) {
      return Bad("tokenizer.model", fmt::format("{} pieces, the model has {} tokens",
                                                spec_.tokens.size(), facts_.n_vocab));
    }
    set_.assign(spec_.tokens.size(), true);
    Resize();
    spec_.add_bos = true;
    return {};
  }

  void Resize() {
    spec_.tokens.resize(facts_.n_vocab);
    spec_.types.resize(facts_.n_vocab, TokenType::kUnused);
    set_.resize(facts_.n_vocab, false);
    if (spec_.model == "llama") spec_.scores.resize(facts_.n_vocab, -10000.0F);
  }

  Status ReadBpe() {
    const TokenizerJson& model = FieldOf(json_, "model");
    const TokenizerJson& vocab = FieldOf(model, "vocab");
    if (TextField(model, "type") != "BPE" || !vocab.is_object()) {
      return MakeError(ErrorCode::kUnavailable,
                       "{}: neither tokenizer.model nor a tokenizer.json of type BPE",
                       files_.folder);
    }
    const bool sentence_piece = IsSentencePieceJson(json_);
    if (!sentence_piece) {
      RETURN_IF_ERROR(CheckNormalizer());
      ASSIGN_OR_RETURN(spec_.pre, PreTokenizer());
    }
    spec_.model = "gpt2";
    Resize();
    for (const auto& [text, id] : vocab.items()) {
      if (!id.is_number_integer()) return Bad("tokenizer.json", "an id that is no number");
      RETURN_IF_ERROR(SetToken(id.get<int64_t>(), text, TokenType::kNormal));
    }
    RETURN_IF_ERROR(ReadMerges(FieldOf(model, "merges")));
    if (!sentence_piece) return {};
    return MakeSentencePiece(json_, files_.folder + "/tokenizer.json", &spec_);
  }

  // Qwen's NFC changes no text that is composed already; nothing here does it.
  Status CheckNormalizer() const {
    for (const TokenizerJson& step : StepsOf(FieldOf(json_, "normalizer"), "normalizers")) {
      if (TextField(step, "type") == "NFC") continue;
      return MakeError(ErrorCode::kUnavailable, "{}/tokenizer.json: normalizer {} is not supported",
                       files_.folder, Quoted(step.dump()));
    }
    return {};
  }

  // "left right", or in newer files ["left", "right"].
  Status ReadMerges(const TokenizerJson& merges) {
    if (!merges.is_array()) return Bad("tokenizer.json", "no merges");
    for (const TokenizerJson& merge : merges) {
      if (merge.is_string()) {
        spec_.merges.push_back(merge.get<std::string>());
        if (spec_.merges.back().find(' ') != std::string::npos) continue;
        return Bad("tokenizer.json", "a merge without a space");
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        spec_.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
      } else {
        return Bad("tokenizer.json", "a merge that is no pair of tokens");
      }
    }
    return {};
  }

  Result<std::string> PreTokenizer() const {
    std::string pattern;
    bool byte_level = false;
    bool gpt2_words = false;
    bool single_digits = false;
    for (const TokenizerJson& step : StepsOf(FieldOf(json_, "pre_tokenizer"), "pretokenizers")) {
      const std::string type = TextField(step, "type");
      const TokenizerJson& flag =
          FieldOf(step, type == "Digits" ? "individual_digits" : "use_regex");
      const bool on = flag.is_boolean() ? flag.get<bool>() : type == "ByteLevel";
      if (type == "Split") pattern += TextField(FieldOf(step, "pattern"), "Regex");
      if (type == "Digits") single_digits = on;
      if (type == "ByteLevel") byte_level = true;
      if (type == "ByteLevel") gpt2_words = on;
      if (type != "Split" && type != "Digits" && type != "ByteLevel") pattern += type;
    }
    if (byte_level && gpt2_words && pattern.empty()) return single_digits ? "smollm" : "gpt-2";
    const TokenizerJson& ignores = FieldOf(FieldOf(json_, "model"), "ignore_merges");
    const auto* known = std::ranges::find_if(kPatterns, [&](const KnownPattern& row) {
      return row.regex == pattern && (!ignores.is_boolean() || ignores == row.ignore_merges);
    });
    if (byte_level && !gpt2_words && !single_digits && known != std::end(kPatterns)) {
      return std::string(known->pre);
    }
    return MakeError(ErrorCode::kUnavailable, "{}/tokenizer.json: pre-tokenizer {} is not known",
                     files_.folder, Quoted(pattern.empty() ? "without an expression" : pattern));
  }

  // added_tokens of tokenizer.json; of checkpoints without one, those that the config decodes.
  Status ReadAdded() {
    for (const TokenizerJson& token : FieldOf(json_, "added_tokens")) {
      const TokenizerJson& id = FieldOf(token, "id");
      if (!id.is_number_integer()) return Bad("tokenizer.json", "an added token without an id");
      RETURN_IF_ERROR(AddToken(id.get<int64_t>(), token));
    }
    const TokenizerJson& decoder = FieldOf(config_, "added_tokens_decoder");
    if (!decoder.is_object()) return {};
    for (const auto& [id, token] : decoder.items()) {
      int64_t number = -1;
      const auto [rest, error] = std::from_chars(id.data(), id.data() + id.size(), number);
      if (error != std::errc() || rest != id.data() + id.size()) {
        return Bad("tokenizer_config.json", "an added token whose id is no number");
      }
      RETURN_IF_ERROR(AddToken(number, token));
    }
    return {};
  }

  Status AddToken(int64_t id, const TokenizerJson& token) {
    const TokenizerJson& special = FieldOf(token, "special");
    const bool is_special = special.is_boolean() && special.get<bool>();
    const bool there =
        id >= 0 && static_cast<size_t>(id) < set_.size() && set_[static_cast<size_t>(id)];
    // SentencePiece knows better what its own tokens are: <unk> is not a control token.
    if (there && !files_.sentencepiece.empty()) return {};
    if (there && spec_.types[static_cast<size_t>(id)] == TokenType::kUnknown) return {};
    return SetToken(id, TextField(token, "content"),
                    is_special ? TokenType::kControl : TokenType::kUserDefined);
  }

  // Embeddings may have more rows than there are tokens.
  void FillGaps() {
    for (size_t i = 0; i < set_.size(); ++i) {
      if (!set_[i]) spec_.tokens[i] = fmt::format("[PAD{}]", i);
    }
    for (size_t i = 0; i < spec_.tokens.size(); ++i) {
      ids_.emplace(spec_.tokens[i], static_cast<uint32_t>(i));
    }
  }

  // A token that the config names, as text or as an object with its text.
  std::optional<uint32_t> NamedToken(const char* key, std::optional<int64_t> absent) const {
    const TokenizerJson& named = FieldOf(config_, key);
    const std::string text =
        named.is_string() ? named.get<std::string>() : TextField(named, "content");
    const auto it = ids_.find(text);
    if (!text.empty() && it != ids_.end()) return it->second;
    if (absent && static_cast<size_t>(*absent) < facts_.n_vocab) {
      return static_cast<uint32_t>(*absent);
    }
    return std::nullopt;
  }

  // What the config says; else whether tokenizer.json puts BOS before a text.
  bool AddsBos(std::optional<uint32_t> bos) const {
    const TokenizerJson& said = FieldOf(config_, "add_bos_token");
    if (said.is_boolean()) return said.get<bool>();
    if (!bos) return false;
    if (spec_.add_bos.value_or(false)) return true;
    for (const TokenizerJson& step : StepsOf(FieldOf(json_, "post_processor"), "processors")) {
      const TokenizerJson& single = FieldOf(step, "single");
      if (!single.is_array() || single.empty()) continue;
      if (TextField(FieldOf(single[0], "SpecialToken"), "id") == spec_.tokens[*bos]) return true;
    }
    return false;
  }

  std::string ChatTemplate() const {
    if (!files_.chat_template.empty()) return files_.chat_template;
    const TokenizerJson& given = FieldOf(config_, "chat_template");
    if (given.is_string()) return given.get<std::string>();
    if (!given.is_array()) return "";
    for (const TokenizerJson& named : given) {
      if (TextField(named, "name") == "default") return TextField(named, "template");
    }
    return "";
  }

  template <typename T>
  void Put(std::string key, MetaType type, T value) {
    entries_.push_back({"tokenizer." + std::move(key), type, std::move(value)});
  }
  template <typename T>
  void PutArray(std::string key, MetaType type, std::vector<T> values) {
    Put(std::move(key), MetaType::kArray, MetaArray{type, std::move(values)});
  }

  void WriteSpec() {
    Put("ggml.model", MetaType::kString, spec_.model);
    if (!spec_.pre.empty()) Put("ggml.pre", MetaType::kString, spec_.pre);
    std::vector<int32_t> types;
    for (const TokenType type : spec_.types) types.push_back(static_cast<int32_t>(type));
    const std::optional<uint32_t> bos = NamedToken("bos_token", facts_.bos);
    const bool adds_bos = AddsBos(bos);
    PutArray("ggml.tokens", MetaType::kString, spec_.tokens);
    PutArray("ggml.token_type", MetaType::kInt32, std::move(types));
    if (!spec_.scores.empty()) PutArray("ggml.scores", MetaType::kFloat32, spec_.scores);
    if (!spec_.merges.empty()) PutArray("ggml.merges", MetaType::kString, spec_.merges);
    const auto put_id = [&](const char* key, std::optional<uint32_t> id) {
      if (id) Put(key, MetaType::kUint32, *id);
    };
    put_id("ggml.bos_token_id", bos);
    put_id("ggml.eos_token_id", NamedToken("eos_token", facts_.eos));
    put_id("ggml.unknown_token_id", NamedToken("unk_token", std::nullopt));
    put_id("ggml.padding_token_id", NamedToken("pad_token", std::nullopt));
    Put("ggml.add_bos_token", MetaType::kBool, adds_bos);
    if (const TokenizerJson& said = FieldOf(config_, "add_eos_token"); said.is_boolean()) {
      Put("ggml.add_eos_token", MetaType::kBool, said.get<bool>());
    }
    if (spec_.add_space_prefix) {
      Put("ggml.add_space_prefix", MetaType::kBool, *spec_.add_space_prefix);
    }
    if (const std::string text = ChatTemplate(); !text.empty()) {
      Put("chat_template", MetaType::kString, text);
    }
  }

  const HfTokenizerFiles& files_;
  const HfTokenizerFacts& facts_;
  TokenizerJson config_;
  TokenizerJson json_;
  TokenizerSpec spec_;
  std::vector<bool> set_;  // [n_vocab] whether a token has that id
  std::map<std::string, uint32_t> ids_;
  std::vector<MetaEntry> entries_;
};

}  // namespace

Result<std::vector<MetaEntry>> ConvertHfTokenizer(const HfTokenizerFiles& files,
                                                  const HfTokenizerFacts& facts) {
  return TokenizerConverter(files, facts).Convert();
}

}  // namespace llmrun
