#include "model/tokenizer_spec.h"

#include <limits>

namespace llmrun {

namespace {

std::string Key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

// The elements of an array as they are stored; an absent array is empty.
template <typename T>
Result<std::vector<T>> GetElements(const Metadata& metadata, std::string_view name,
                                   MetaType wanted) {
  const std::string key = Key(name);
  if (metadata.Find(key) == nullptr) return std::vector<T>();
  ASSIGN_OR_RETURN(const MetaArray* array, metadata.GetArray(key));
  const auto* elements = std::get_if<std::vector<T>>(&array->data);
  if (elements == nullptr) {
    return MakeError(ErrorCode::kBadData, "{} is an array of {}, expected {}", key,
                     NameOf(array->element_type), NameOf(wanted));
  }
  return *elements;
}

Result<std::vector<TokenType>> GetTypes(const Metadata& metadata) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> raw,
                   GetElements<int32_t>(metadata, "token_type", MetaType::kInt32));
  std::vector<TokenType> types;
  types.reserve(raw.size());
  for (const int32_t value : raw) {
    const bool known = value >= 0 && value <= static_cast<int32_t>(TokenType::kByte);
    types.push_back(known ? static_cast<TokenType>(value) : TokenType::kUndefined);
  }
  return types;
}

Result<std::optional<bool>> GetFlag(const Metadata& metadata, std::string_view name) {
  const std::string key = Key(name);
  if (metadata.Find(key) == nullptr) return std::optional<bool>();
  ASSIGN_OR_RETURN(const bool value, metadata.GetBoolOr(key, false));
  return std::optional<bool>(value);
}

Result<std::optional<TokenId>> GetId(const Metadata& metadata, std::string_view name) {
  const std::string key = Key(name);
  if (metadata.Find(key) == nullptr) return std::optional<TokenId>();
  ASSIGN_OR_RETURN(const uint64_t value, metadata.GetUint(key));
  if (value > uint64_t{std::numeric_limits<TokenId>::max()}) {
    return MakeError(ErrorCode::kBadData, "{} is {}, which is no token", key, value);
  }
  return std::optional<TokenId>(static_cast<TokenId>(value));
}

// Of tokens that nothing depends on: files with -1 or a number beyond the vocabulary are about.
std::optional<TokenId> GetIdIfUsable(const Metadata& metadata, std::string_view name) {
  return GetId(metadata, name).value_or(std::nullopt);
}

// SentencePiece's normalization, a blob that files store as numbers of one byte.
Result<std::string> GetCharsmap(const Metadata& metadata) {
  const std::string key = Key("precompiled_charsmap");
  if (metadata.Find(key) == nullptr) return std::string();
  ASSIGN_OR_RETURN(const MetaArray* array, metadata.GetArray(key));
  if (const auto* bytes = std::get_if<std::vector<uint8_t>>(&array->data)) {
    return std::string(bytes->begin(), bytes->end());
  }
  ASSIGN_OR_RETURN(const std::vector<int8_t> bytes,
                   GetElements<int8_t>(metadata, "precompiled_charsmap", MetaType::kUint8));
  return std::string(bytes.begin(), bytes.end());
}

}  // namespace

Result<TokenizerSpec> TokenizerSpecFromMetadata(const Metadata& metadata) {
  TokenizerSpec spec;
  ASSIGN_OR_RETURN(spec.model, metadata.GetString(Key("model")));
  if (metadata.Find(Key("pre")) != nullptr) {
    ASSIGN_OR_RETURN(spec.pre, metadata.GetString(Key("pre")));
  }
  RETURN_IF_ERROR(metadata.GetArray(Key("tokens")));  // the others may be absent
  ASSIGN_OR_RETURN(spec.tokens, GetElements<std::string>(metadata, "tokens", MetaType::kString));
  ASSIGN_OR_RETURN(spec.scores, GetElements<float>(metadata, "scores", MetaType::kFloat32));
  ASSIGN_OR_RETURN(spec.types, GetTypes(metadata));
  ASSIGN_OR_RETURN(spec.merges, GetElements<std::string>(metadata, "merges", MetaType::kString));
  ASSIGN_OR_RETURN(spec.bos, GetId(metadata, "bos_token_id"));
  ASSIGN_OR_RETURN(spec.eos, GetId(metadata, "eos_token_id"));
  ASSIGN_OR_RETURN(spec.unk, GetId(metadata, "unknown_token_id"));
  ASSIGN_OR_RETURN(spec.eot, GetId(metadata, "eot_token_id"));
  spec.sep = GetIdIfUsable(metadata, "seperator_token_id");  // spelled so in the files
  spec.pad = GetIdIfUsable(metadata, "padding_token_id");
  if (!spec.bos && spec.model == "bert") {
    ASSIGN_OR_RETURN(spec.bos, GetId(metadata, "cls_token_id"));  // what begins a text of this kind
  }
  ASSIGN_OR_RETURN(spec.add_bos, GetFlag(metadata, "add_bos_token"));
  ASSIGN_OR_RETURN(spec.add_eos, GetFlag(metadata, "add_eos_token"));
  ASSIGN_OR_RETURN(spec.add_sep, GetFlag(metadata, "add_sep_token"));
  ASSIGN_OR_RETURN(spec.add_space_prefix, GetFlag(metadata, "add_space_prefix"));
  ASSIGN_OR_RETURN(spec.remove_extra_whitespaces, GetFlag(metadata, "remove_extra_whitespaces"));
  ASSIGN_OR_RETURN(spec.lowercase, GetFlag(metadata, "normalizer.lowercase"));
  ASSIGN_OR_RETURN(spec.strip_accents, GetFlag(metadata, "normalizer.strip_accents"));
  ASSIGN_OR_RETURN(spec.precompiled_charsmap, GetCharsmap(metadata));
  return spec;
}

}  // namespace llmrun
