#include "text/wpm_tokenizer.h"

#include "text/bert_words.h"
#include "text/space_mark.h"
#include "text/tokenizer_check.h"

namespace llmrun {

namespace {

// What files of this kind mean when they leave it out: the numbers of the released vocabularies.
void ApplyWpmDefaults(TokenizerSpec* spec) {
  FillCustomaryId(100, *spec, &spec->unk);
  FillCustomaryId(101, *spec, &spec->bos);
  FillCustomaryId(102, *spec, &spec->sep);
  spec->add_eos = false;  // the separator ends a text
  spec->add_space_prefix = false;
  if (!spec->lowercase) spec->lowercase = true;
  if (!spec->strip_accents) spec->strip_accents = spec->lowercase;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> WpmTokenizer::Create(TokenizerSpec spec) {
  RETURN_IF_ERROR(CheckTokenizerSpec(spec));
  DropUnusableIds(&spec);
  ApplyWpmDefaults(&spec);
  RETURN_IF_ERROR(CheckAddedTokens(spec));
  CompleteTokenizerSpec(/*default_add_bos=*/true, &spec);
  return std::unique_ptr<Tokenizer>(new WpmTokenizer(std::move(spec)));
}

WpmTokenizer::WpmTokenizer(TokenizerSpec complete) : Tokenizer(std::move(complete)) {
  for (size_t i = 0; i < VocabSize(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!IsControl(id)) pieces_.Add(TextOf(id), id);
  }
}

void WpmTokenizer::EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const {
  std::string marked;
  ForEachBertWord(text, {*spec().lowercase, *spec().strip_accents}, [&](std::string_view word) {
    marked = kSpaceMark;
    marked += word;
    EncodeWord(marked, ids);
  });
}

void WpmTokenizer::EncodeWord(std::string_view marked, std::vector<TokenId>* ids) const {
  const size_t before = ids->size();
  for (size_t pos = 0; pos < marked.size();) {
    const auto longest = pieces_.LongestAt(marked, pos);
    if (!longest) {
      ids->resize(before);
      if (spec().unk) ids->push_back(*spec().unk);
      return;
    }
    ids->push_back(longest->id);
    pos += longest->bytes;
  }
}

std::string WpmTokenizer::DecodeNormal(TokenId id) const {
  std::string out = TextOf(id);
  UnmarkSpaces(&out);
  return out;
}

}  // namespace llmrun
