#include "cli/recode_file.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <span>

#include "base/units.h"
#include "cli/write_chunks.h"
#include "compute/codec.h"
#include "compute/quantize.h"
#include "loader/gguf/printable.h"
#include "loader/io/file_byte_source.h"
#include "loader/io/output_file.h"

namespace llmrun {
namespace {

// Some rows of a tensor that is recoded, or some bytes of one that is copied.
struct RecodeChunk {
  uint32_t tensor = 0;
  uint64_t begin = 0;  // row or byte
  uint64_t end = 0;
  ChunkPlace place;
};

class RecodeWriter {
 public:
  RecodeWriter(const RecodeJob& job, ThreadPool& pool) : job_(job), pool_(pool) {}

  Result<std::unique_ptr<OutputFile>> Write(const std::string& path) {
    for (const GgufFile& file : job_.index.files()) {
      ASSIGN_OR_RETURN(auto source, FileByteSource::Open(file.label));
      sources_.push_back(std::move(source));
    }
    const std::vector<std::byte> header = job_.header.Header();
    ASSIGN_OR_RETURN(auto out, OutputFile::Create(path, header.size() + job_.header.DataBytes()));
    RETURN_IF_ERROR(out->WriteAt(0, header));
    if (!job_.last.empty()) {
      const uint64_t at = header.size() + job_.header.tensors()[job_.recipes.size()].offset;
      RETURN_IF_ERROR(out->WriteAt(at, std::as_bytes(job_.last)));
    }
    RETURN_IF_ERROR(FindScales(*out, header.size()));
    Cut(header.size());
    std::vector<ChunkPlace> places;
    for (const RecodeChunk& chunk : chunks_) places.push_back(chunk.place);
    const auto fill = [&](size_t i, std::span<std::byte> bytes) { return Fill(chunks_[i], bytes); };
    RETURN_IF_ERROR(WriteChunks(*out, places, fill, job_.label, pool_));
    return out;
  }

 private:
  struct Scales {
    float from = 1;
    float to = 1;
  };

  const IndexedTensor& Tensor(uint32_t i) const { return job_.index.at(job_.recipes[i].source); }
  bool IsCopied(uint32_t i) const {
    const TensorRecipe& recipe = job_.recipes[i];
    return recipe.type == Tensor(i).dtype && recipe.interleaved == 0 && recipe.added == 0;
  }
  static uint64_t RowCount(const IndexedTensor& t) { return t.dims[1] * t.dims[2] * t.dims[3]; }
  // So that a thread holds few megabytes of floats.
  static uint64_t RowsTogether(const IndexedTensor& t) {
    constexpr uint64_t kValues = 512 * kKiB;
    return std::max<uint64_t>(1, kValues / t.dims[0]);
  }

  void Cut(uint64_t data_offset) {
    constexpr uint64_t kCopiedBytes = 4 * kMiB;
    for (uint32_t i = 0; i < job_.recipes.size(); ++i) {
      const IndexedTensor& tensor = Tensor(i);
      const bool copied = IsCopied(i);
      const uint64_t unit_bytes = copied ? 1 : RowBytes(job_.recipes[i].type, tensor.dims[0]);
      const uint64_t total = copied ? tensor.extent.bytes : RowCount(tensor);
      const uint64_t step = copied ? kCopiedBytes : RowsTogether(tensor);
      const uint64_t at = data_offset + job_.header.tensors()[i].offset;
      for (uint64_t begin = 0; begin < total; begin += step) {
        const uint64_t end = std::min(begin + step, total);
        chunks_.push_back({i, begin, end, {at + begin * unit_bytes, (end - begin) * unit_bytes}});
      }
    }
  }

  // I2_S has one scale for a tensor: read from a tensor that is of it, found for one that becomes
  // so in passes over the tensor, and written behind the rows.
  Status FindScales(OutputFile& out, uint64_t data_offset) {
    scales_.resize(job_.recipes.size());
    for (uint32_t i = 0; i < job_.recipes.size(); ++i) {
      const IndexedTensor& tensor = Tensor(i);
      if (IsCopied(i)) continue;
      const uint64_t tail = TraitsOf(tensor.dtype).tensor_tail_bytes;
      if (tail != 0) {
        std::vector<std::byte> bytes(tail);
        RETURN_IF_ERROR(sources_[tensor.extent.file]->ReadAt(
            tensor.extent.offset + tensor.extent.bytes - tail, bytes));
        scales_[i].from = TensorScale(tensor.dtype, bytes.data());
      }
      if (TraitsOf(job_.recipes[i].type).tensor_tail_bytes == 0) continue;
      RETURN_IF_ERROR(FindTernaryScale(i));
      const GgufWriter::Tensor& target = job_.header.tensors()[i];
      const uint64_t rows_bytes = RowBytes(target.dtype, tensor.dims[0]) * RowCount(tensor);
      RETURN_IF_ERROR(out.WriteAt(data_offset + target.offset + rows_bytes,
                                  std::as_bytes(std::span(&scales_[i].to, 1))));
    }
    return {};
  }

  Status FindTernaryScale(uint32_t i) {
    constexpr int kPasses = 4;
    float scale = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
      TernaryMean mean(scale / 2);
      RETURN_IF_ERROR(AddAll(i, &mean));
      if (mean.Mean() == scale) break;
      scale = mean.Mean();
    }
    scales_[i].to = scale;
    return {};
  }

  Status AddAll(uint32_t i, TernaryMean* mean) {
    const IndexedTensor& tensor = Tensor(i);
    const uint64_t step = RowsTogether(tensor);
    for (uint64_t row = 0; row < RowCount(tensor); row += step) {
      const uint64_t end = std::min(row + step, RowCount(tensor));
      ASSIGN_OR_RETURN(const std::vector<float> values, Values(i, row, end));
      mean->Add(values.data(), static_cast<int64_t>(values.size()));
    }
    return {};
  }

  // The row of the source that becomes this row: of a head's rows the first half are the first of
  // pairs, the second half their second.
  static uint64_t SourceRow(uint64_t row, uint64_t interleaved) {
    if (interleaved == 0) return row;
    const uint64_t of_head = row % interleaved;
    return row - of_head + of_head % 2 * (interleaved / 2) + of_head / 2;
  }

  // The bytes of rows [begin, end), in their order.
  Result<std::vector<std::byte>> SourceRows(uint32_t i, uint64_t begin, uint64_t end) const {
    const FileExtent& extent = Tensor(i).extent;
    const uint64_t row_bytes = RowBytes(Tensor(i).dtype, Tensor(i).dims[0]);
    const auto interleaved = static_cast<uint64_t>(job_.recipes[i].interleaved);
    std::vector<std::byte> bytes((end - begin) * row_bytes);
    const uint64_t step = interleaved == 0 ? end - begin : 1;
    for (uint64_t row = begin; row < end; row += step) {
      const std::span<std::byte> out =
          std::span(bytes).subspan((row - begin) * row_bytes, step * row_bytes);
      RETURN_IF_ERROR(sources_[extent.file]->ReadAt(
          extent.offset + SourceRow(row, interleaved) * row_bytes, out));
    }
    return bytes;
  }

  // Of rows [begin, end).
  Result<std::vector<float>> Values(uint32_t i, uint64_t begin, uint64_t end) const {
    const IndexedTensor& tensor = Tensor(i);
    const uint64_t columns = tensor.dims[0];
    const uint64_t row_bytes = RowBytes(tensor.dtype, columns);
    ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, SourceRows(i, begin, end));
    std::vector<float> values((end - begin) * columns);
    for (uint64_t row = 0; row < end - begin; ++row) {
      const Status decoded =
          DequantizeRow(tensor.dtype, bytes.data() + row * row_bytes, static_cast<int64_t>(columns),
                        values.data() + row * columns, scales_[i].from);
      if (!decoded) return InRow(decoded.error(), tensor, begin + row);
    }
    const float added = job_.recipes[i].added;
    for (size_t j = 0; added != 0 && j < values.size(); ++j) values[j] += added;
    return values;
  }

  Status Fill(const RecodeChunk& chunk, std::span<std::byte> out) const {
    const IndexedTensor& tensor = Tensor(chunk.tensor);
    if (IsCopied(chunk.tensor)) {
      return sources_[tensor.extent.file]->ReadAt(tensor.extent.offset + chunk.begin, out);
    }
    ASSIGN_OR_RETURN(const std::vector<float> values, Values(chunk.tensor, chunk.begin, chunk.end));
    const uint64_t columns = tensor.dims[0];
    const uint64_t row_bytes = out.size() / (chunk.end - chunk.begin);
    const uint64_t slices = tensor.dims[2] * tensor.dims[3];
    for (uint64_t row = chunk.begin; row < chunk.end; ++row) {
      const float* importance = nullptr;
      if (job_.importance != nullptr) {
        ASSIGN_OR_RETURN(importance,
                         job_.importance->Find(tensor.name, columns, row / tensor.dims[1], slices));
      }
      const uint64_t at = row - chunk.begin;
      const Status encoded =
          QuantizeRow(job_.recipes[chunk.tensor].type, values.data() + at * columns,
                      static_cast<int64_t>(columns), importance, out.data() + at * row_bytes,
                      scales_[chunk.tensor].to);
      if (!encoded) return InRow(encoded.error(), tensor, row);
    }
    return {};
  }

  tl::unexpected<Error> InRow(Error error, const IndexedTensor& tensor, uint64_t row) const {
    error.message =
        fmt::format("{}: tensor {}: row {}: {}", job_.index.files()[tensor.extent.file].label,
                    Quoted(tensor.name), row, error.message);
    return tl::unexpected(std::move(error));
  }

  const RecodeJob& job_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<FileByteSource>> sources_;
  std::vector<Scales> scales_;  // [tensors]
  std::vector<RecodeChunk> chunks_;
};

}  // namespace

Result<std::unique_ptr<OutputFile>> WriteRecoded(const RecodeJob& job, const std::string& path,
                                                 ThreadPool& pool) {
  return RecodeWriter(job, pool).Write(path);
}

}  // namespace llmrun
