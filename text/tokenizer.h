// Text to token ids and back. A Tokenizer is built from a TokenizerSpec, which `model` fills from a
// GGUF's metadata; this folder knows no file format.
//
// Kinds: "llama" (SentencePiece BPE: merges by score, byte fallback) and "gpt2" (byte-level BPE:
// merges by rank after a regular-expression pre-tokenizer named by `pre`).
// Sources: Sennrich et al. 2016 (BPE); Kudo & Richardson 2018 (SentencePiece); the GPT-2 byte map.
//
// Threads: immutable after Create(); all const methods are Thread-safe.
// Failure: Create() rejects inconsistent specs (kBadData) and unknown kinds (kUnavailable). Encoding
// any byte string succeeds, in linear or n log n time, without recursion.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace llmrun {

using TokenId = int32_t;

// tokenizer.ggml.token_type values.
enum class TokenType : int32_t {
  kUndefined = 0,
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// The tokenizer.ggml.* metadata as plain values.
struct TokenizerSpec {
  std::string model;                // "llama", "gpt2"
  std::string pre;                  // "gpt-2", "llama-bpe", "deepseek-llm", ...; may be empty
  std::vector<std::string> tokens;  // index = id
  std::vector<float> scores;        // empty or one a token
  std::vector<TokenType> types;     // empty or one a token
  std::vector<std::string> merges;  // "left right", best first
  std::optional<TokenId> bos, eos, unk, sep, pad, eot;
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
};

struct EncodeOptions {
  bool add_special = false;    // add BOS/EOS where the vocabulary asks for it
  bool parse_special = false;  // recognize control tokens written out in the text
};

class Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);
  virtual ~Tokenizer() = default;

  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const;
  // The bytes a token stands for. Control tokens give "" unless `show_special`. A byte token gives
  // one byte, so a character may be spread over several tokens: join before showing (Utf8Stream).
  // Requires: 0 <= id < VocabSize().
  std::string Decode(TokenId id, bool show_special = false) const;
  std::string Decode(std::span<const TokenId> ids, bool show_special = false) const;

  size_t VocabSize() const { return spec_.tokens.size(); }
  const TokenizerSpec& spec() const { return spec_; }
  bool IsEndOfGeneration(TokenId id) const;  // eos, eot and the known end-of-turn control tokens

 protected:
  explicit Tokenizer(TokenizerSpec spec);
  // Encodes text without any special token in it.
  virtual void EncodeFragment(std::string_view text, bool first,
                              std::vector<TokenId>* ids) const = 0;
  virtual std::string DecodeNormal(TokenId id) const = 0;

  TokenizerSpec spec_;
};

// Holds back the bytes of an incomplete UTF-8 character until its rest arrives, so that streamed
// output never shows a broken character. Threads: Thread-compatible.
class Utf8Stream {
 public:
  std::string Push(std::string_view bytes);  // what can be shown now
  std::string Flush();                       // what is left, as it is

 private:
  std::string pending_;
};

}  // namespace llmrun
