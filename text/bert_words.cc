#include "text/bert_words.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "text/utf8.h"

namespace llmrun {

namespace {

bool IsBetween(int32_t codepoint, int32_t first, int32_t last) {
  return codepoint >= first && codepoint <= last;
}

bool IsWhiteSpace(int32_t codepoint, utf8proc_category_t category) {
  return IsBetween(codepoint, '\t', '\r') || codepoint == 0x85 ||
         category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
}

bool IsDropped(int32_t codepoint, utf8proc_category_t category) {
  return codepoint == 0xFFFD || category == UTF8PROC_CATEGORY_CC ||
         category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO;
}

bool IsPunctuation(int32_t codepoint, utf8proc_category_t category) {
  if (codepoint < 0x80 && category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO) {
    return true;  // $ + < = > ^ ` | ~
  }
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

// The blocks of ideographs that the released tokenizer lists.
bool IsIdeograph(int32_t codepoint) {
  return IsBetween(codepoint, 0x4E00, 0x9FFF) || IsBetween(codepoint, 0x3400, 0x4DBF) ||
         IsBetween(codepoint, 0x20000, 0x2A6DF) || IsBetween(codepoint, 0x2A700, 0x2B73F) ||
         IsBetween(codepoint, 0x2B740, 0x2B81F) || IsBetween(codepoint, 0x2B820, 0x2CEAF) ||
         IsBetween(codepoint, 0xF900, 0xFAFF) || IsBetween(codepoint, 0x2F800, 0x2FA1F);
}

// Collects the characters of a word.
class WordBuilder {
 public:
  WordBuilder(BertNormalization normalization, FunctionRef<void(std::string_view)> on_word)
      : normalization_(normalization), on_word_(on_word) {}

  void Add(int32_t codepoint) {
    if (!normalization_.strip_accents) return AddDecomposed(codepoint);
    utf8proc_int32_t parts[8];  // no character has more in NFD
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(codepoint, parts, std::ssize(parts),
                                static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), &boundary);
    const auto known = std::clamp<utf8proc_ssize_t>(count, 0, std::ssize(parts));
    for (utf8proc_ssize_t i = 0; i < known; ++i) {
      if (utf8proc_category(parts[i]) != UTF8PROC_CATEGORY_MN) AddDecomposed(parts[i]);
    }
  }
  void End() {
    if (!word_.empty()) on_word_(word_);
    word_.clear();
  }

 private:
  void AddDecomposed(int32_t codepoint) {
    const utf8proc_category_t category = utf8proc_category(codepoint);
    if (IsWhiteSpace(codepoint, category)) return End();
    if (IsDropped(codepoint, category)) return;
    const bool alone = IsPunctuation(codepoint, category) || IsIdeograph(codepoint);
    if (alone) End();
    AppendUtf8(normalization_.lowercase ? utf8proc_tolower(codepoint) : codepoint, &word_);
    if (alone) End();
  }

  const BertNormalization normalization_;
  FunctionRef<void(std::string_view)> on_word_;
  std::string word_;
};

}  // namespace

void ForEachBertWord(std::string_view text, BertNormalization normalization,
                     FunctionRef<void(std::string_view word)> on_word) {
  WordBuilder builder(normalization, on_word);
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Unit unit = Utf8At(text, pos);
    if (unit.codepoint >= 0) builder.Add(unit.codepoint);
    pos += unit.bytes;
  }
  builder.End();
}

}  // namespace llmrun
