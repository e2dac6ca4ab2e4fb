// sentencepiece_corpus DIR: writes the seed files of sentencepiece_fuzz.
#include <cstring>
#include <string>

#include "tests/fuzz/text_corpus.h"

namespace {

// A field whose length is one byte.
std::string Field(int number, const std::string& bytes) {
  return static_cast<char>(number << 3 | 2) + std::string(1, static_cast<char>(bytes.size())) +
         bytes;
}

std::string Piece(const std::string& text, float score, char type) {
  std::string bytes(sizeof score, '\0');
  std::memcpy(bytes.data(), &score, sizeof score);
  return Field(1, Field(1, text) + '\x15' + bytes + '\x18' + type);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string special = Piece("<unk>", 0, 2) + Piece("<s>", 0, 3) + Piece("</s>", 0, 3);
  const std::string words = Piece("\xe2\x96\x81", -3, 1) + Piece("a", -4, 1) + Piece("b", -5, 1) +
                            Piece("ab", -1, 1) + Piece("<0x0A>", 0, 6) + Piece("user", 0, 4);
  const std::string bpe = Field(2, "\x18\x02");
  const std::string no_prefix = Field(3, std::string("\x18\x00\x20\x00", 4));
  return llmrun::WriteTextSeeds(
      argc, argv,
      {special + words + bpe, special + words + bpe + no_prefix, bpe + Piece("a", 1, 5)});
}
