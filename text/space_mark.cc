#include "text/space_mark.h"

namespace llmrun {

namespace {

void ReplaceAll(std::string_view from, std::string_view to, std::string* text) {
  std::string out;
  size_t begin = 0;
  for (size_t at = text->find(from); at != std::string::npos; at = text->find(from, begin)) {
    out.append(*text, begin, at - begin);
    out += to;
    begin = at + from.size();
  }
  if (begin == 0) return;
  out.append(*text, begin);
  *text = std::move(out);
}

}  // namespace

void MarkSpaces(std::string* text) { ReplaceAll(" ", kSpaceMark, text); }

void UnmarkSpaces(std::string* text) { ReplaceAll(kSpaceMark, " ", text); }

}  // namespace llmrun
