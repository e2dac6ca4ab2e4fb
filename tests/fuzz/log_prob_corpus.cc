// log_prob_corpus DIR: writes the seed files of log_prob_fuzz.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "tests/fuzz/text_corpus.h"

namespace {

std::string LogProbSeed(uint32_t n_vocab, uint32_t n_ctx, uint32_t n_chunks) {
  std::vector<uint32_t> words = {1, n_vocab, n_ctx, n_chunks};
  words.resize(words.size() + n_ctx * n_chunks, 2);
  const size_t row_words = 2 + (n_vocab + 1) / 2;
  words.resize(words.size() + n_chunks * (n_ctx - n_ctx / 2 - 1) * row_words, 0x3c003c00);
  std::string bytes(words.size() * sizeof words[0], '\0');
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return "llmrunlp" + bytes;
}

}  // namespace

int main(int argc, char** argv) {
  return llmrun::WriteTextSeeds(argc, argv,
                                {LogProbSeed(3, 4, 1), LogProbSeed(4, 8, 2), LogProbSeed(7, 5, 3)});
}
