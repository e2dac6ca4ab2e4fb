// Quantized models against those of other programs: the same bytes where a type has one plain
// rounding, no larger errors where it is searched for, and the same types in mixtures.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "compute/codec.h"
#include "compute/quantize.h"
#include "loader/open_model.h"
#include "model/quantize_mix.h"
#include "tests/model/vocabulary_file.h"
#include "tests/support/oracle.h"

namespace llmrun {
namespace {

struct OracleFile {
  std::string bytes;
  TensorIndex index;

  const std::byte* At(uint64_t offset) const {
    return std::as_bytes(std::span(bytes)).data() + offset;
  }
  std::vector<float> Row(const IndexedTensor& tensor, uint64_t row) const {
    const uint64_t columns = tensor.dims[0];
    std::vector<float> values(columns);
    const std::byte* const end = At(tensor.extent.offset + tensor.extent.bytes);
    EXPECT_TRUE(DequantizeRow(
        tensor.dtype, At(tensor.extent.offset) + row * RowBytes(tensor.dtype, columns),
        static_cast<int64_t>(columns), values.data(),
        TensorScale(tensor.dtype, end - TraitsOf(tensor.dtype).tensor_tail_bytes)));
    return values;
  }
};

std::filesystem::path QuantPath(const std::string& name) {
  return OracleRoot() / "quant" / ("llama-" + name) / "model.gguf";
}

OracleFile OpenOracle(const std::string& name) {
  return {ReadAll(QuantPath(name)), OpenModel(QuantPath(name)).value()};
}

std::vector<std::byte> EncodedRow(DType type, const std::vector<float>& values,
                                  float tensor_scale) {
  std::vector<std::byte> bytes(RowBytes(type, values.size()));
  EXPECT_TRUE(QuantizeRow(type, values.data(), static_cast<int64_t>(values.size()), nullptr,
                          bytes.data(), tensor_scale));
  return bytes;
}

// Sums of squared errors, plain and weighted with the squares of the values.
struct Errors {
  double plain = 0;
  double weighted = 0;

  void Add(const std::vector<float>& values, const std::vector<float>& decoded) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double error = values[i] - decoded[i];
      plain += error * error;
      weighted += error * error * values[i] * values[i];
    }
  }
};

class QuantizeOracle : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(QuantPath(GetParam()))) {
      GTEST_SKIP() << "no oracle data at " << QuantPath(GetParam());
    }
  }
};

class SameBytes : public QuantizeOracle {};
class NoLargerError : public QuantizeOracle {};
class SameTernaries : public QuantizeOracle {};
class SameTypes : public QuantizeOracle {};

TEST_P(SameBytes, OfPlainRoundings) {
  const OracleFile source = OpenOracle("f32");
  const OracleFile want = OpenOracle(GetParam());
  const DType type = *ParseDType(GetParam());
  int compared = 0;
  for (const IndexedTensor& tensor : want.index.tensors()) {
    if (tensor.dtype != type) continue;
    const IndexedTensor& from = source.index.at(*source.index.Find(tensor.name));
    const uint64_t row_bytes = RowBytes(type, tensor.dims[0]);
    for (uint64_t row = 0; row < tensor.dims[1]; ++row, ++compared) {
      const std::vector<std::byte> got = EncodedRow(type, source.Row(from, row), 1);
      const std::byte* const wanted = want.At(tensor.extent.offset + row * row_bytes);
      ASSERT_EQ(std::memcmp(got.data(), wanted, row_bytes), 0) << tensor.name << ' ' << row;
    }
  }
  EXPECT_GT(compared, 1000);
}
INSTANTIATE_TEST_SUITE_P(Types, SameBytes,
                         ::testing::Values("q8_0", "q4_0", "q4_1", "q5_0", "q5_1"));

TEST_P(NoLargerError, OfSearchedTypes) {
  const OracleFile source = OpenOracle("f32");
  const OracleFile peer = OpenOracle(GetParam());
  const DType type = *ParseDType(GetParam());
  Errors ours;
  Errors theirs;
  for (const IndexedTensor& tensor : peer.index.tensors()) {
    if (tensor.dtype != type) continue;
    const IndexedTensor& from = source.index.at(*source.index.Find(tensor.name));
    // Every eighth row: a sample that takes little time also with a sanitizer.
    for (uint64_t row = 0; row < tensor.dims[1]; row += 8) {
      const std::vector<float> values = source.Row(from, row);
      std::vector<float> decoded(values.size());
      EXPECT_TRUE(DequantizeRow(type, EncodedRow(type, values, 1).data(),
                                static_cast<int64_t>(values.size()), decoded.data()));
      ours.Add(values, decoded);
      theirs.Add(values, peer.Row(tensor, row));
    }
  }
  EXPECT_GT(theirs.plain, 0);
  EXPECT_LE(ours.plain, theirs.plain);
  EXPECT_LE(ours.weighted, theirs.weighted);
  RecordProperty("plain", std::to_string(std::sqrt(ours.plain / theirs.plain)));
  RecordProperty("weighted", std::to_string(std::sqrt(ours.weighted / theirs.weighted)));
}
INSTANTIATE_TEST_SUITE_P(Types, NoLargerError,
                         ::testing::Values("q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl",
                                           "iq4_xs", "mxfp4"));

// Of ternary models the values are those of the source: what they stand for gives the same bytes.
TEST_P(SameTernaries, FromTheirValues) {
  const OracleFile file = OpenOracle(GetParam());
  const DType type = *ParseDType(GetParam());
  for (const IndexedTensor& tensor : file.index.tensors()) {
    if (tensor.dtype != type) continue;
    const uint64_t row_bytes = RowBytes(type, tensor.dims[0]);
    TernaryMean scale;
    for (uint64_t row = 0; row < tensor.dims[1]; ++row) {
      const std::vector<float> values = file.Row(tensor, row);
      scale.Add(values.data(), static_cast<int64_t>(values.size()));
    }
    for (uint64_t row = 0; row < tensor.dims[1]; row += 4) {
      const std::vector<std::byte> got = EncodedRow(type, file.Row(tensor, row), scale.Mean());
      const std::byte* const wanted = file.At(tensor.extent.offset + row * row_bytes);
      ASSERT_EQ(std::memcmp(got.data(), wanted, row_bytes), 0) << tensor.name << ' ' << row;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Types, SameTernaries,
                         ::testing::Values("tq1_0", "tq2_0", "iq2_bn", "i2_s"));

TEST_P(SameTypes, OfMixtures) {
  const OracleFile source = OpenOracle("f32");
  const OracleFile want = OpenOracle(GetParam());
  std::string name = GetParam();
  if (name.ends_with("_mix")) name.resize(name.size() - 4);
  const QuantizeTarget target = ParseQuantizeTarget(name).value();
  const auto plan = PlanQuantize(source.index, {.target = target});
  ASSERT_TRUE(plan) << plan.error().OneLine();
  for (size_t i = 0; i < plan->size(); ++i) {
    const IndexedTensor& tensor = source.index.tensors()[i];
    EXPECT_EQ(NameOf((*plan)[i].type), NameOf(want.index.at(*want.index.Find(tensor.name)).dtype))
        << tensor.name;
  }
  EXPECT_EQ(want.index.metadata().GetUint("general.file_type").value(), target.file_type);
}
INSTANTIATE_TEST_SUITE_P(Types, SameTypes,
                         ::testing::Values("q2_k_mix", "q3_k_m", "q4_k_m", "q5_k_m"));

}  // namespace
}  // namespace llmrun
