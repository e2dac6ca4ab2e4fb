// imatrix_corpus DIR: writes the seed files of imatrix_fuzz.
#include <cstring>
#include <string>
#include <vector>

#include "tests/fuzz/imatrix_seeds.h"
#include "tests/fuzz/text_corpus.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {
namespace {

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string DatEntry(const std::string& name, int32_t calls, const std::vector<float>& sums) {
  return BytesOf<int32_t>({static_cast<int32_t>(name.size())}) + name +
         BytesOf<int32_t>({calls, static_cast<int32_t>(sums.size())}) + BytesOf(sums);
}

std::string GgufSeed(uint64_t slices) {
  GgufBytes file;
  file.Header(2, 1).Key("general.type", MetaType::kString).Text("imatrix");
  const std::string name = kSeedTensor;
  file.Tensor(name + ".in_sum2", {kSeedColumns, slices}, DType::kF32, 0);
  file.Tensor(name + ".counts", {1, slices}, DType::kF32, 32);
  file.PadTo(32);
  std::vector<float> sums(kSeedColumns * slices, 3);
  sums.resize(8);
  file.Raw(BytesOf(sums)).Raw(BytesOf(std::vector<float>(slices, 2)));
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace
}  // namespace llmrun

int main(int argc, char** argv) {
  using namespace llmrun;
  const std::string one = DatEntry(kSeedTensor, 3, {1, 2, 3, 0});
  const std::string dat = BytesOf<int32_t>({1}) + one;
  const std::string more = BytesOf<int32_t>({2}) + one + DatEntry("b", 0, {0, 1e30F}) + "tail";
  const std::string slices =
      BytesOf<int32_t>({1}) + DatEntry(kSeedTensor, 1, {1, 2, 3, 4, 5, 6, 7, 8});
  return WriteTextSeeds(argc, argv, {dat, more, slices, GgufSeed(1), GgufSeed(kSeedSlices)});
}
