// Text to token ids and back. A Tokenizer is built from a TokenizerSpec, which `model` fills from a
// GGUF's metadata; this folder knows no file format.
//
// Kinds: "llama" (SentencePiece BPE: merges by score, byte fallback), "gpt2" (byte-level BPE:
// merges by rank after a regular-expression pre-tokenizer named by `pre`), "bert" (WordPiece) and
// "t5" (SentencePiece Unigram).
// Sources: Sennrich et al. 2016 (BPE); Kudo & Richardson 2018 (SentencePiece); the GPT-2 byte map;
// Devlin et al. 2019 (WordPiece); Kudo 2018 (Unigram).
//
// Special tokens (control, unknown and user-defined ones) are cut out of the text first: at each
// position the longest one. Plain text never becomes a control or unknown token by merging, so with
// parse_special = false a prompt cannot forge one.
//
// Threads: immutable after Create(); all const methods are Thread-safe.
// Failure: Create() rejects inconsistent specs (kBadData) and unknown kinds or pre-tokenizers
// (kUnavailable). Encoding any byte string succeeds, in linear or n log n time, without recursion;
// bytes that the vocabulary cannot express become the unknown token, or nothing where it has none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "text/token_id.h"
#include "text/token_trie.h"

namespace llmrun {

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
  std::string model;                // "llama", "gpt2", "bert", "t5"
  std::string pre;                  // "gpt-2", "llama-bpe", "deepseek-llm", ...; may be empty
  std::vector<std::string> tokens;  // index = id
  std::vector<float> scores;        // empty or one a token
  std::vector<TokenType> types;     // empty or one a token
  std::vector<std::string> merges;  // "left right", best first
  std::optional<TokenId> bos, eos, unk, sep, pad, eot;
  std::optional<bool> add_bos, add_eos, add_sep, add_space_prefix, remove_extra_whitespaces;
  std::optional<bool> lowercase, strip_accents;  // of "bert"; true when absent
  std::string precompiled_charsmap;              // of "t5" (charsmap.h); may be empty
};

struct EncodeOptions {
  bool add_special = false;    // add BOS, EOS, separator where the vocabulary asks for them
  bool parse_special = false;  // recognize control tokens written out in the text
};

class Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(TokenizerSpec spec);
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  std::vector<TokenId> Encode(std::string_view text, const EncodeOptions& options) const;
  // The bytes a token stands for. Control and unknown tokens give "" unless `show_special`. A byte
  // token gives one byte, so a character may be spread over several tokens: join before showing
  // (Utf8Stream). The space that a "llama" vocabulary puts before a text is not taken away again.
  // Requires: 0 <= id < VocabSize().
  std::string Decode(TokenId id, bool show_special = false) const;
  std::string Decode(std::span<const TokenId> ids, bool show_special = false) const;

  size_t VocabSize() const { return spec_.tokens.size(); }
  // With what the file left out filled in: add_bos, add_eos, add_sep, add_space_prefix, types, and
  // the special tokens that are customary for the kind. An unusable sep or pad is taken out.
  const TokenizerSpec& spec() const { return spec_; }
  bool IsEndOfGeneration(TokenId id) const;  // eos, eot and the known end-of-turn control tokens

 protected:
  // Requires: a spec that Create() has checked and completed.
  explicit Tokenizer(TokenizerSpec spec);
  // Encodes text without any special token in it: not empty, at the beginning or after such a
  // token.
  virtual void EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const = 0;
  // Of any token but control, unknown and user-defined ones.
  virtual std::string DecodeNormal(TokenId id) const = 0;

  TokenType TypeOf(TokenId id) const { return spec_.types[static_cast<size_t>(id)]; }
  const std::string& TextOf(TokenId id) const { return spec_.tokens[static_cast<size_t>(id)]; }
  bool IsControl(TokenId id) const;           // control or unknown: not for plain text
  TokenId Find(std::string_view text) const;  // kNoToken when no token reads so

 private:
  void MarkEndOfGeneration();

  TokenizerSpec spec_;
  std::unordered_map<std::string_view, TokenId> ids_;  // views of spec_.tokens
  std::vector<bool> ends_generation_;
  TokenTrie user_defined_;
  TokenTrie all_special_;
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
