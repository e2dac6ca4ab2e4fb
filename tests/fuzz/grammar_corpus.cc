// grammar_corpus DIR: writes the seed files of grammar_fuzz.
#include "tests/fuzz/text_corpus.h"

int main(int argc, char** argv) {
  return llmrun::WriteTextSeeds(
      argc, argv,
      {"root ::= \"a\" | \"b\"* [c-e]+ [^f]? .\n",
       "root ::= expr # comment\nexpr ::= term (\"+\" term)*\nterm ::= [0-9]+ | \"(\" expr \")\"\n",
       "root ::= (\"ab\"{2,3} | x{1,}) \"\\u00e9\\x41\\U0001F600\"\nx ::= \"\" | \"y\"\n",
       "root ::= root \"a\"", "root ::= (((\"\")*)+)?\n"});
}
