// The tokenizer of a GGUF file, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "loader/gguf/gguf.h"
#include "model/tokenizer_spec.h"
#include "text/tokenizer.h"

namespace llmrun {

inline std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

inline Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const std::filesystem::path& path) {
  const std::string bytes = ReadAll(path);
  MemByteSource source(std::as_bytes(std::span(bytes)), path.string());
  ASSIGN_OR_RETURN(const GgufFile file, ParseGguf(source));
  ASSIGN_OR_RETURN(TokenizerSpec spec, TokenizerSpecFromMetadata(file.metadata));
  return Tokenizer::Create(std::move(spec));
}

// What decoding gives back: the text, without the space that "llama" vocabularies put before it.
inline std::string RoundTrip(const Tokenizer& tokenizer, const std::string& text) {
  std::string out = tokenizer.Decode(tokenizer.Encode(text, {}));
  if (*tokenizer.spec().add_space_prefix && !out.empty()) out.erase(0, 1);
  return out;
}

}  // namespace llmrun
