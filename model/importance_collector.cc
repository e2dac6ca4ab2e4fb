#include "model/importance_collector.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "base/check.h"
#include "loader/gguf/gguf_writer.h"
#include "loader/io/output_file.h"

namespace llmrun {
namespace {

bool IsMeasured(const IndexedTensor& tensor) {
  constexpr std::string_view kNot[] = {"token_embd.weight", "output.weight"};
  constexpr std::string_view kRouter = "ffn_gate_inp.weight";
  return tensor.dims[1] > 1 && std::ranges::find(kNot, tensor.name) == std::end(kNot) &&
         !tensor.name.ends_with(kRouter);
}

void AddSquares(const float* x, std::span<double> squares) {
  for (size_t i = 0; i < squares.size(); ++i) squares[i] += static_cast<double>(x[i]) * x[i];
}

void AddRoundedSquares(const int8_t* q, const float* scale, std::span<double> squares) {
  for (size_t i = 0; i < squares.size(); ++i) {
    const double value = static_cast<double>(q[i]) * scale[i / kQuantBlock];
    squares[i] += value * value;
  }
}

}  // namespace

ImportanceCollector::ImportanceCollector(const TensorIndex& index)
    : index_(index), sums_(index.tensors().size()) {
  for (size_t i = 0; i < sums_.size(); ++i) {
    const IndexedTensor& tensor = index.tensors()[i];
    if (!IsMeasured(tensor)) continue;
    const uint64_t slices = tensor.dims[2] * tensor.dims[3];
    sums_[i].squares.resize(tensor.dims[0] * slices);
    sums_[i].counts.resize(slices);
  }
}

void ImportanceCollector::Add(TensorId tensor, int64_t slice, int64_t n_tokens, const float* x,
                              const QuantizedRows* rounded) {
  Sums& sums = sums_[static_cast<size_t>(tensor)];
  if (sums.squares.empty()) return;
  const size_t columns = sums.squares.size() / sums.counts.size();
  const auto at = static_cast<size_t>(slice);
  CHECK(at < sums.counts.size());
  const std::span<double> squares = std::span(sums.squares).subspan(at * columns, columns);
  const std::lock_guard lock(mutex_);
  for (size_t t = 0; t < static_cast<size_t>(n_tokens); ++t) {
    if (rounded != nullptr) {
      AddRoundedSquares(rounded->q + t * columns, rounded->scale + t * columns / kQuantBlock,
                        squares);
    } else {
      AddSquares(x + t * columns, squares);
    }
  }
  sums.counts[at] += static_cast<uint64_t>(n_tokens);
  sums.any = true;
}

size_t ImportanceCollector::matrices() const {
  return static_cast<size_t>(std::ranges::count_if(sums_, &Sums::any));
}

Status ImportanceCollector::Write(const std::string& path, const std::string& text, uint32_t chunks,
                                  uint32_t chunk_tokens) const {
  GgufWriter writer;
  writer.AddString("general.type", "imatrix");
  writer.Add("imatrix.datasets", MetaType::kArray,
             MetaArray{MetaType::kString, std::vector<std::string>{text}});
  writer.AddUint32("imatrix.chunk_count", chunks);
  writer.AddUint32("imatrix.chunk_size", chunk_tokens);
  std::vector<std::vector<float>> data;
  for (size_t i = 0; i < sums_.size(); ++i) {
    const Sums& sums = sums_[i];
    if (!sums.any) continue;
    const std::string& name = index_.tensors()[i].name;
    const uint64_t slices = sums.counts.size();
    RETURN_IF_ERROR(
        writer.AddTensor(name + ".in_sum2", DType::kF32, {sums.squares.size() / slices, slices}));
    RETURN_IF_ERROR(writer.AddTensor(name + ".counts", DType::kF32, {1, slices}));
    data.emplace_back(sums.squares.begin(), sums.squares.end());
    data.emplace_back(sums.counts.begin(), sums.counts.end());
  }
  const std::vector<std::byte> header = writer.Header();
  ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file,
                   OutputFile::Create(path, header.size() + writer.DataBytes()));
  RETURN_IF_ERROR(file->WriteAt(0, header));
  for (size_t i = 0; i < data.size(); ++i) {
    RETURN_IF_ERROR(file->WriteAt(header.size() + writer.tensors()[i].offset,
                                  std::as_bytes(std::span(data[i]))));
  }
  return file->Commit();
}

}  // namespace llmrun
