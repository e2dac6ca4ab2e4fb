#include "model/model_identity.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <string>
#include <vector>

namespace llmrun {

Result<uint64_t> ModelIdentity(const Weights& weights) {
  std::string known;
  const std::vector<IndexedTensor>& tensors = weights.index().tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const IndexedTensor& tensor = tensors[i];
    known += fmt::format("{}\n{} {} {}\n{} {}\n", tensor.name, NameOf(tensor.dtype),
                         fmt::join(tensor.dims, "x"), tensor.n_dims, tensor.extent.file,
                         tensor.extent.offset);
    if (tensor.n_dims != 2) continue;
    const auto row = static_cast<int32_t>(tensor.dims[1] / 2);
    std::vector<std::byte> bytes(RowBytes(tensor.dtype, tensor.dims[0]));
    RETURN_IF_ERROR(weights.CopyRows(static_cast<TensorId>(i), {&row, 1}, bytes.data()));
    known.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return XXH3_64bits(known.data(), known.size());
}

}  // namespace llmrun
