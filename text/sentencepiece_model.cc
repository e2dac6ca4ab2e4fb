#include "text/sentencepiece_model.h"

#include <bit>
#include <cstring>
#include <utility>

namespace llmrun {
namespace {

constexpr uint64_t kBpe = 2;  // TrainerSpec.ModelType

// A field of a message: a number, or bytes of which another message may be made.
struct ProtoField {
  uint32_t number = 0;
  uint64_t value = 0;           // of varints and of fixed numbers
  std::string_view bytes = {};  // of what has a length
};

// The fields of a message one after the other; nothing is nested in a call.
class ProtoReader {
 public:
  ProtoReader(std::string_view bytes, const std::string& label) : bytes_(bytes), label_(label) {}

  bool done() const { return at_ == bytes_.size(); }

  Result<ProtoField> Next() {
    ASSIGN_OR_RETURN(const uint64_t key, Varint());
    ProtoField field{.number = static_cast<uint32_t>(key >> 3)};
    switch (key & 7) {
      case 0: {
        ASSIGN_OR_RETURN(field.value, Varint());
        return field;
      }
      case 1:
        return Fixed(field, 8);
      case 5:
        return Fixed(field, 4);
      case 2: {
        ASSIGN_OR_RETURN(const uint64_t length, Varint());
        if (length > bytes_.size() - at_) return Damaged();
        field.bytes = bytes_.substr(at_, length);
        at_ += length;
        return field;
      }
      default:
        return Damaged();
    }
  }

 private:
  tl::unexpected<Error> Damaged() const {
    return MakeError(ErrorCode::kBadData,
                     "{}: no SentencePiece model: damaged at byte {} of a "
                     "message of {}",
                     label_, at_, bytes_.size());
  }

  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) break;
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      value |= uint64_t{byte & 127U} << shift;
      if (byte < 128) return value;
    }
    return Damaged();
  }

  Result<ProtoField> Fixed(ProtoField field, size_t size) {
    if (size > bytes_.size() - at_) return Damaged();
    std::memcpy(&field.value, bytes_.data() + at_, size);
    at_ += size;
    return field;
  }

  std::string_view bytes_;
  const std::string& label_;
  size_t at_ = 0;
};

Status AddPiece(std::string_view message, const std::string& label, TokenizerSpec* spec) {
  std::string text;
  float score = 0;
  auto type = TokenType::kNormal;
  ProtoReader reader(message, label);
  while (!reader.done()) {
    ASSIGN_OR_RETURN(const ProtoField field, reader.Next());
    if (field.number == 1) text = field.bytes;
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    const bool known = field.value >= 1 && field.value <= static_cast<uint64_t>(TokenType::kByte);
    if (field.number == 3 && known) type = static_cast<TokenType>(field.value);
  }
  spec->tokens.push_back(std::move(text));
  spec->scores.push_back(score);
  spec->types.push_back(type);
  return {};
}

Status ReadNormalizer(std::string_view message, const std::string& label, TokenizerSpec* spec) {
  ProtoReader reader(message, label);
  while (!reader.done()) {
    ASSIGN_OR_RETURN(const ProtoField field, reader.Next());
    if (field.number == 3) spec->add_space_prefix = field.value != 0;
    if (field.number == 4) spec->remove_extra_whitespaces = field.value != 0;
  }
  return {};
}

Status CheckTrainer(std::string_view message, const std::string& label) {
  uint64_t kind = 1;  // unigram, where nothing is said
  ProtoReader reader(message, label);
  while (!reader.done()) {
    ASSIGN_OR_RETURN(const ProtoField field, reader.Next());
    if (field.number == 3) kind = field.value;
  }
  if (kind == kBpe) return {};
  return MakeError(ErrorCode::kUnavailable,
                   "{}: a SentencePiece model of kind {}: only BPE ({}) is "
                   "supported",
                   label, kind, kBpe);
}

}  // namespace

Result<TokenizerSpec> ParseSentencePieceModel(std::string_view bytes, const std::string& label) {
  TokenizerSpec spec;
  spec.model = "llama";
  spec.add_space_prefix = true;
  spec.remove_extra_whitespaces = true;
  bool has_trainer = false;
  ProtoReader reader(bytes, label);
  while (!reader.done()) {
    ASSIGN_OR_RETURN(const ProtoField field, reader.Next());
    if (field.number == 1) RETURN_IF_ERROR(AddPiece(field.bytes, label, &spec));
    if (field.number == 3) RETURN_IF_ERROR(ReadNormalizer(field.bytes, label, &spec));
    if (field.number != 2) continue;
    has_trainer = true;
    RETURN_IF_ERROR(CheckTrainer(field.bytes, label));
  }
  if (has_trainer && !spec.tokens.empty()) return spec;
  return MakeError(ErrorCode::kBadData, "{}: no SentencePiece model: {} pieces", label,
                   spec.tokens.size());
}

}  // namespace llmrun
