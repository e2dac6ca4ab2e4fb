#include "text/bpe_tokenizer.h"

#include "text/byte_map.h"
#include "text/tokenizer_check.h"

namespace llmrun {

// The keys are two small numbers side by side, which std::hash would keep as they are; a
// multiplication by an odd constant (2^64 / golden ratio) spreads both over the high bits.
size_t BpeTokenizer::PairHash::operator()(uint64_t pair) const {
  const uint64_t mixed = (pair ^ pair >> 29) * 0x9E3779B97F4A7C15U;
  return mixed ^ mixed >> 32;
}

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::Create(TokenizerSpec spec) {
  RETURN_IF_ERROR(CheckTokenizerSpec(spec));
  RETURN_IF_ERROR(CheckAddedTokens(spec));
  ASSIGN_OR_RETURN(PreTokenizer pre, PreTokenizer::Create(spec.pre));
  CompleteTokenizerSpec(pre.rule().add_bos, &spec);
  spec.add_space_prefix = false;  // of the other kind only
  std::unique_ptr<BpeTokenizer> out(new BpeTokenizer(std::move(spec), std::move(pre)));
  RETURN_IF_ERROR(out->AddMerges());
  return out;
}

BpeTokenizer::BpeTokenizer(TokenizerSpec complete, PreTokenizer pre)
    : Tokenizer(std::move(complete)), pre_(std::move(pre)) {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = Find(MappedByte(static_cast<uint8_t>(byte)));
  }
}

Status BpeTokenizer::AddMerges() {
  merges_.reserve(spec().merges.size());
  for (size_t rank = 0; rank < spec().merges.size(); ++rank) RETURN_IF_ERROR(AddMerge(rank));
  return {};
}

Status BpeTokenizer::AddMerge(size_t rank) {
  const std::string& merge = spec().merges[rank];
  const size_t space = merge.find(' ', 1);
  if (space == std::string::npos || space + 1 == merge.size()) {
    return MakeError(ErrorCode::kBadData, "tokenizer: merge {} is '{}', not two parts", rank,
                     merge.substr(0, 64));
  }
  const std::string left = merge.substr(0, space);
  const std::string right = merge.substr(space + 1);
  const std::string joined = left + right;
  TokenId ids[3];
  const std::string* const parts[3] = {&left, &right, &joined};
  for (size_t i = 0; i < 3; ++i) {
    ids[i] = Find(*parts[i]);
    if (ids[i] != kNoToken) continue;
    return MakeError(ErrorCode::kBadData, "tokenizer: merge {} needs '{}', which is no token", rank,
                     parts[i]->substr(0, 64));
  }
  if (IsControl(ids[2])) return {};  // plain text must not become one
  merges_.try_emplace(PairKey(ids[0], ids[1]), RankedMerge{static_cast<uint32_t>(rank), ids[2]});
  return {};
}

void BpeTokenizer::EncodeFragment(std::string_view text, std::vector<TokenId>* ids) const {
  MergeScratch scratch;
  size_t begin = 0;
  for (const size_t end : pre_.Split(text)) {
    EncodeWord(text.substr(begin, end - begin), &scratch, ids);
    begin = end;
  }
}

void BpeTokenizer::EncodeWord(std::string_view word, MergeScratch* scratch,
                              std::vector<TokenId>* ids) const {
  if (pre_.rule().ignore_merges && word.size() <= kMaxTokenBytes) {
    const TokenId whole = Find(MapBytes(word));
    if (whole != kNoToken && !IsControl(whole)) {
      ids->push_back(whole);
      return;
    }
  }
  scratch->Clear();
  for (size_t i = 0; i < word.size(); ++i) {
    scratch->Append(byte_ids_[static_cast<unsigned char>(word[i])], i, 1);
  }
  MergeSymbols(
      [&](const Symbol& left, const Symbol& right) -> std::optional<Merge> {
        const auto found = merges_.find(PairKey(left.id, right.id));
        if (found == merges_.end()) return std::nullopt;
        return Merge{static_cast<double>(found->second.rank), found->second.id};
      },
      scratch);
  for (size_t i = 0; i != kNoSymbol; i = scratch->symbols[i].next) {
    TokenId id = scratch->symbols[i].id;
    if (id == kNoToken) id = spec().unk.value_or(kNoToken);
    if (id != kNoToken) ids->push_back(id);
  }
}

std::string BpeTokenizer::DecodeNormal(TokenId id) const { return UnmapBytes(TextOf(id)); }

}  // namespace llmrun
