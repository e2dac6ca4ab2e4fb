#include "text/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <string>

#include "base/check.h"
#include "text/utf8.h"

namespace llmrun {

namespace {

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

// \s of PCRE2 has U+180E, which lost the property White_Space in Unicode 6.3; the tokenizers were
// trained with White_Space.
std::string WithUnicodeSpace(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char next = i + 1 < pattern.size() ? pattern[i + 1] : '\0';
    if (pattern[i] == '\\' && (next == 's' || next == 'S')) {
      out += next == 's' ? R"(\p{White_Space})" : R"(\P{White_Space})";
      ++i;
    } else {
      out += pattern[i];
      if (pattern[i] == '\\' && next != '\0') out += pattern[++i];
    }
  }
  return out;
}

// The text itself when it is valid UTF-8, or else a copy in `storage` of the same length, in which
// each stray byte is U+0001: a control character, in no class that the expressions name.
std::string_view ValidText(std::string_view text, std::string* storage) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Unit unit = Utf8At(text, pos);
    if (unit.codepoint < 0) {
      if (storage->empty()) *storage = text;
      (*storage)[pos] = '\x01';
    }
    pos += unit.bytes;
  }
  return storage->empty() ? text : std::string_view(*storage);
}

// Runs expressions over pieces of one text.
class Matcher {
 public:
  explicit Matcher(std::string_view text)
      : text_(text),
        data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)) {
    CHECK(data_ != nullptr && context_ != nullptr);
    // Of one match attempt: far above what the expressions need, far below a hang.
    const size_t steps = 1000 + 64 * std::min<size_t>(text.size(), size_t{1} << 25);
    pcre2_set_match_limit(context_.get(), static_cast<uint32_t>(steps));
    pcre2_set_depth_limit(context_.get(), static_cast<uint32_t>(steps));
  }

  // Cuts the piece [begin, end) and appends the ends of its parts.
  void Cut(const pcre2_code* code, size_t begin, size_t end, std::vector<size_t>* ends) {
    const std::string_view piece = text_.substr(begin, end - begin);
    size_t pos = 0;
    while (pos < piece.size()) {
      const int found =
          pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), pos,
                      PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data_.get(), context_.get());
      if (found < 0) break;  // no match; or over a limit, then the rest stays one piece
      const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data_.get());
      if (match[0] > pos) ends->push_back(begin + match[0]);
      ends->push_back(begin + match[1]);
      pos = match[1];
    }
    if (pos < piece.size()) ends->push_back(end);
  }

 private:
  std::string_view text_;
  std::unique_ptr<pcre2_match_data, FreeMatchData> data_;
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context_;
};

}  // namespace

void PreTokenizer::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Result<PreTokenizer::Code> PreTokenizer::Compile(std::string_view pattern, bool jit) {
  const std::string full = WithUnicodeSpace(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(full.data()), full.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                          &error, &offset, nullptr));
  if (code == nullptr) {
    return MakeError(ErrorCode::kUnavailable,
                     "pre-tokenizer: PCRE2 refuses '{}' at {} (error {}); a newer PCRE2 is needed",
                     full, offset, error);
  }
  if (jit) (void)pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // or else it interprets
  return code;
}

Result<PreTokenizer> PreTokenizer::Create(std::string_view name, bool jit) {
  const PreTokenizerRule* rule = FindPreTokenizerRule(name);
  if (rule == nullptr) {
    return MakeError(ErrorCode::kUnavailable, "unknown pre-tokenizer '{}' (known: {})", name,
                     KnownPreTokenizers());
  }
  PreTokenizer out(rule);
  for (const std::string_view pattern : rule->patterns) {
    ASSIGN_OR_RETURN(Code code, Compile(pattern, jit));
    out.codes_.push_back(std::move(code));
  }
  return out;
}

std::vector<size_t> PreTokenizer::Split(std::string_view text) const {
  if (text.empty()) return {};
  std::string storage;
  Matcher matcher(ValidText(text, &storage));
  std::vector<size_t> ends = {text.size()};
  std::vector<size_t> finer;
  for (const Code& code : codes_) {
    finer.clear();
    size_t begin = 0;
    for (const size_t end : ends) {
      matcher.Cut(code.get(), begin, end, &finer);
      begin = end;
    }
    ends.swap(finer);
  }
  return ends;
}

}  // namespace llmrun
