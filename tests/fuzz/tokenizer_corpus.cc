// tokenizer_corpus DIR: writes the seed files of tokenizer_fuzz.
#include "tests/fuzz/text_corpus.h"

int main(int argc, char** argv) {
  using std::literals::operator""sv;
  return llmrun::WriteTextSeeds(
      argc, argv,
      {"\x04\x00 abc  ab\u00E9<user>"sv, "\x00\x04\x04\x00\x00\x00\x00\x05\x00\x00x\x00 abc"sv,
       "\x01\x00Hello, W\u00F6rld \u4E2D\u6587!"sv, "\x02\x00<s>ab <user>abc\xFF\u2581"sv,
       "\x03\x00It's 1234567 dogs\n\n  x"sv, "\x03\x05getUserName \u4E2D\u6587 12"sv,
       "\x03\x12 a, b.\t1234567890"sv});
}
