// json_schema_corpus DIR: writes the seed files of json_schema_fuzz.
#include "tests/fuzz/text_corpus.h"

int main(int argc, char** argv) {
  return llmrun::WriteTextSeeds(
      argc, argv,
      {R"({"type":"object","properties":{"a":{"type":"integer","minimum":-5,"maximum":120},)"
       R"("b":{"enum":["x",1,null]}},"required":["a"],"additionalProperties":{"type":"string"}})",
       R"({"$ref":"#/$defs/n","$defs":{"n":{"properties":{"n":{"$ref":"#/$defs/n"}}}}})",
       R"({"type":["array","null"],"items":{"anyOf":[{"const":1},true]},"minItems":1,"maxItems":3})",
       R"({"prefixItems":[{"format":"date-time"},{"pattern":"^[a-z\\d]{2,3}(x|\\.)?$"}]})",
       R"({"allOf":[{"type":"string"},{"minLength":2}],"maxLength":5})"});
}
