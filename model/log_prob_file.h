// A file of log likelihoods of all tokens at the scored positions of a text, by which later models
// are compared with the one that wrote it (Divergence, model/perplexity.h).
//
// Format, little endian: 8 bytes "llmrunlp"; uint32 version (1), n_vocab, n_ctx, n_chunks; int32
// tokens [n_chunks][n_ctx]; then a row for each scored position, in order: float32 least, float32
// step, uint16 codes [n_vocab], and two bytes more where n_vocab is odd. A token's log likelihood
// is least + step * code; those more than 24 below the greatest are written as if they were 24
// below.
//
// Threads: Thread-compatible. Failure: kNoInput, kOs, kResource; kBadData for files that are not
// what they say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/gguf/byte_source.h"
#include "loader/io/output_file.h"
#include "text/token_id.h"

namespace llmrun {

struct LogProbHead {
  uint32_t n_vocab = 0;
  uint32_t n_ctx = 0;
  std::vector<TokenId> tokens = {};  // [n_chunks][n_ctx]

  uint64_t row_bytes() const { return 8 + (uint64_t{n_vocab} * 2 + 3) / 4 * 4; }
  uint64_t rows() const;
};

class LogProbWriter {
 public:
  static Result<LogProbWriter> Create(const std::string& path, const LogProbHead& head);
  // Logits of the next positions, [positions][n_vocab].
  Status Add(std::span<const float> logits);
  Status Commit() { return file_->Commit(); }

 private:
  std::unique_ptr<OutputFile> file_;
  uint64_t at_ = 0;
  uint32_t n_vocab_ = 0;
  uint64_t row_bytes_ = 0;
};

class LogProbReader {
 public:
  static Result<LogProbReader> Open(const std::string& path);
  static Result<LogProbReader> Open(std::unique_ptr<ByteSource> source);
  const LogProbHead& head() const { return head_; }
  // Log likelihoods of the next positions, [positions][n_vocab]. Requires: there are as many.
  Result<std::vector<float>> Read(size_t positions);

 private:
  std::unique_ptr<ByteSource> source_;
  LogProbHead head_;
  uint64_t at_ = 0;
};

}  // namespace llmrun
