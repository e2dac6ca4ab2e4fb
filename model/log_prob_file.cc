#include "model/log_prob_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "loader/io/file_byte_source.h"
#include "model/log_sum_exp.h"
#include "model/perplexity.h"

namespace llmrun {
namespace {

constexpr char kMagic[] = "llmrunlp";
constexpr size_t kMagicBytes = 8;
constexpr uint32_t kVersion = 1;
constexpr float kRange = 24;
constexpr float kLastCode = 65535;
constexpr uint32_t kMostVocab = 1U << 24;
constexpr uint32_t kLeastContext = 4;
constexpr uint32_t kMostContext = 1U << 24;

using Fields = std::array<uint32_t, 4>;  // version, n_vocab, n_ctx, n_chunks
constexpr uint64_t kTokensAt = kMagicBytes + sizeof(Fields);

uint64_t RowsAt(const LogProbHead& head) {
  return kTokensAt + head.tokens.size() * sizeof(TokenId);
}

void EncodeRow(std::span<const float> logits, std::byte* row) {
  const auto total = static_cast<float>(LogSumExp(logits));
  const float greatest = *std::ranges::max_element(logits) - total;
  const float lowest = *std::ranges::min_element(logits) - total;
  const float least = std::max(lowest, greatest - kRange);
  const float step = (greatest - least) / kLastCode;
  std::memcpy(row, &least, sizeof least);
  std::memcpy(row + sizeof least, &step, sizeof step);
  std::byte* out = row + sizeof least + sizeof step;
  for (const float logit : logits) {
    const float code = step > 0 ? (logit - total - least) / step : 0;
    const auto rounded = static_cast<uint16_t>(std::clamp(std::round(code), 0.0F, kLastCode));
    std::memcpy(out, &rounded, sizeof rounded);
    out += sizeof rounded;
  }
}

}  // namespace

uint64_t LogProbHead::rows() const {
  return tokens.size() / n_ctx * static_cast<uint64_t>(ScoredOf(n_ctx));
}

Result<LogProbWriter> LogProbWriter::Create(const std::string& path, const LogProbHead& head) {
  LogProbWriter writer;
  const uint64_t rows_at = RowsAt(head);
  ASSIGN_OR_RETURN(writer.file_,
                   OutputFile::Create(path, rows_at + head.rows() * head.row_bytes()));
  const Fields fields = {kVersion, head.n_vocab, head.n_ctx,
                         static_cast<uint32_t>(head.tokens.size() / head.n_ctx)};
  RETURN_IF_ERROR(writer.file_->WriteAt(0, std::as_bytes(std::span(kMagic, kMagicBytes))));
  RETURN_IF_ERROR(writer.file_->WriteAt(kMagicBytes, std::as_bytes(std::span(fields))));
  RETURN_IF_ERROR(writer.file_->WriteAt(kTokensAt, std::as_bytes(std::span(head.tokens))));
  writer.at_ = rows_at;
  writer.n_vocab_ = head.n_vocab;
  writer.row_bytes_ = head.row_bytes();
  return writer;
}

Status LogProbWriter::Add(std::span<const float> logits) {
  const size_t positions = logits.size() / n_vocab_;
  std::vector<std::byte> rows(positions * row_bytes_);
  for (size_t i = 0; i < positions; ++i) {
    EncodeRow(logits.subspan(i * n_vocab_, n_vocab_), rows.data() + i * row_bytes_);
  }
  RETURN_IF_ERROR(file_->WriteAt(at_, rows));
  at_ += rows.size();
  return {};
}

Result<LogProbReader> LogProbReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, FileByteSource::Open(path));
  return Open(std::move(source));
}

Result<LogProbReader> LogProbReader::Open(std::unique_ptr<ByteSource> source) {
  std::array<char, kMagicBytes> magic{};
  Fields fields{};
  const uint64_t file_bytes = source->SizeBytes();
  const bool has_head = file_bytes >= kTokensAt;
  if (has_head) {
    RETURN_IF_ERROR(source->ReadAt(0, std::as_writable_bytes(std::span(magic))));
    RETURN_IF_ERROR(source->ReadAt(kMagicBytes, std::as_writable_bytes(std::span(fields))));
  }
  if (!has_head || std::memcmp(magic.data(), kMagic, kMagicBytes) != 0) {
    return MakeFixableError(ErrorCode::kBadData, "save it with --kl-divergence-base FILE",
                            "{}: no file of log likelihoods", source->Label());
  }
  const auto [version, n_vocab, n_ctx, n_chunks] = fields;
  if (version != kVersion) {
    return MakeError(ErrorCode::kUnavailable, "{}: version {}, {} is known", source->Label(),
                     version, kVersion);
  }
  LogProbReader reader;
  reader.head_.n_vocab = n_vocab;
  reader.head_.n_ctx = n_ctx;
  uint64_t tokens_bytes = 0;
  const bool sound = n_vocab > 0 && n_vocab <= kMostVocab && n_ctx >= kLeastContext &&
                     n_ctx <= kMostContext && n_chunks > 0 &&
                     CheckedMul(uint64_t{n_ctx} * n_chunks, sizeof(TokenId), &tokens_bytes) &&
                     tokens_bytes <= file_bytes - kTokensAt;
  if (!sound) {
    return MakeError(ErrorCode::kBadData, "{}: {} chunks of {} tokens, of {} each, in {} bytes",
                     source->Label(), n_chunks, n_ctx, n_vocab, file_bytes);
  }
  reader.head_.tokens.resize(tokens_bytes / sizeof(TokenId));
  RETURN_IF_ERROR(
      source->ReadAt(kTokensAt, std::as_writable_bytes(std::span(reader.head_.tokens))));
  reader.at_ = RowsAt(reader.head_);
  uint64_t rows_bytes = 0;
  if (!CheckedMul(reader.head_.rows(), reader.head_.row_bytes(), &rows_bytes) ||
      rows_bytes != file_bytes - reader.at_) {
    return MakeError(ErrorCode::kBadData, "{}: {} bytes, expected {} rows of {} after byte {}",
                     source->Label(), file_bytes, reader.head_.rows(), reader.head_.row_bytes(),
                     reader.at_);
  }
  reader.source_ = std::move(source);
  return reader;
}

Result<std::vector<float>> LogProbReader::Read(size_t positions) {
  const uint64_t row_bytes = head_.row_bytes();
  std::vector<std::byte> rows(positions * row_bytes);
  RETURN_IF_ERROR(source_->ReadAt(at_, rows));
  at_ += rows.size();
  std::vector<float> values(positions * head_.n_vocab);
  for (size_t i = 0; i < positions; ++i) {
    const std::byte* at = rows.data() + i * row_bytes;
    float least = 0;
    float step = 0;
    std::memcpy(&least, at, sizeof least);
    std::memcpy(&step, at + sizeof least, sizeof step);
    at += sizeof least + sizeof step;
    for (size_t j = 0; j < head_.n_vocab; ++j, at += sizeof(uint16_t)) {
      uint16_t code = 0;
      std::memcpy(&code, at, sizeof code);
      values[i * head_.n_vocab + j] = least + step * static_cast<float>(code);
    }
  }
  return values;
}

}  // namespace llmrun
