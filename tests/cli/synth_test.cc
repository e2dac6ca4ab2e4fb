// `llm-run synth`: the same seed gives the same bytes, the values are distributed as promised, and
// what comes out is a model that runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "compute/codec.h"
#include "compute/kernels.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr char kShape[] = "256:512:2:4:2:512";
const char* const kTypes[] = {"F32",    "F16",   "BF16",  "Q8_0",  "Q4_0",   "Q4_1",  "Q5_0",
                              "Q5_1",   "Q2_K",  "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "IQ4_NL",
                              "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "IQ2_BN", "Q4_K_M"};

std::vector<std::byte> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

std::vector<std::byte> Synth(const std::string& type, std::vector<std::string> more) {
  const std::string path = TempPath("synth.gguf");
  std::vector<std::string> args = {"synth", "--shape", kShape, "--type", type, "--force", path};
  args.insert(args.end(), more.begin(), more.end());
  const ProcessResult result = Llm(args);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "");
  return ReadFile(path);
}

TEST(CliSynth, BytesFollowFromTheSeedAlone) {
  for (const char* type : {"F16", "Q4_K_M"}) {
    const std::vector<std::byte> one = Synth(type, {"--seed", "1", "-t", "1"});
    EXPECT_EQ(Synth(type, {"--seed", "1", "-t", "3"}), one) << type;
    const std::vector<std::byte> two = Synth(type, {"--seed", "2"});
    EXPECT_EQ(two.size(), one.size());
    EXPECT_NE(two, one);
  }
}

// The values of a tensor, row by row.
std::vector<float> Values(const std::vector<std::byte>& bytes, const TensorInfo& tensor) {
  const uint64_t cols = tensor.dims[0];
  std::vector<float> values(cols * tensor.dims[1]);
  for (uint64_t row = 0; row < tensor.dims[1]; ++row) {
    const std::byte* at = bytes.data() + tensor.file_offset + row * RowBytes(tensor.dtype, cols);
    EXPECT_TRUE(
        DequantizeRow(tensor.dtype, at, static_cast<int64_t>(cols), values.data() + row * cols));
  }
  return values;
}

TEST(CliSynth, ValuesHaveTheDeviationOfTheirRows) {
  for (const char* type : kTypes) {
    const std::vector<std::byte> bytes = Synth(type, {});
    const Result<GgufFile> file = ParseBytes(bytes);
    ASSERT_TRUE(file) << file.error().OneLine();
    EXPECT_EQ(file->file_bytes, bytes.size());
    for (const TensorInfo& tensor : file->tensors) {
      double sum = 0;
      double squares = 0;
      const std::vector<float> values = Values(bytes, tensor);
      for (const double value : values) {
        sum += value;
        squares += value * value;
      }
      const auto n = static_cast<double>(values.size());
      const double mean = sum / n;
      const double deviation = std::sqrt(squares / n - mean * mean);
      const bool norm = tensor.n_dims == 1;
      const double expected = norm ? 0.05 : 1 / std::sqrt(static_cast<double>(tensor.dims[0]));
      EXPECT_NEAR(mean, norm ? 1 : 0, norm ? 0.02 : 0.05 * expected) << type << tensor.name;
      EXPECT_NEAR(deviation, expected, (norm ? 0.2 : 0.04) * expected) << type << tensor.name;
    }
  }
}

// Three values, each as often as the others, in the bytes that quantizers write.
TEST(CliSynth, TernaryCodesAreThoseOfAQuantizer) {
  std::set<uint8_t> packed;
  for (int n = 0; n < 243; ++n) packed.insert(static_cast<uint8_t>(std::ceil(n * 256 / 243.0)));
  for (const char* type : {"TQ1_0", "TQ2_0", "IQ2_BN"}) {
    const std::vector<std::byte> bytes = Synth(type, {});
    const Result<GgufFile> file = ParseBytes(bytes);
    ASSERT_TRUE(file) << file.error().OneLine();
    const TensorInfo& tensor = file->tensors.front();
    std::map<float, size_t> counts;
    for (const float value : Values(bytes, tensor)) ++counts[value];
    ASSERT_EQ(counts.size(), 3U) << type;
    EXPECT_EQ(counts.begin()->first, -counts.rbegin()->first) << type;
    EXPECT_EQ(counts.count(0), 1U) << type;
    const double third = static_cast<double>(tensor.dims[0] * tensor.dims[1]) / 3;
    for (const auto& [value, count] : counts) EXPECT_NEAR(count, third, 0.02 * third) << type;
    if (tensor.dtype != DType::kTQ1_0) continue;
    const std::byte* const block = bytes.data() + tensor.file_offset;
    for (int i = 0; i < 52; ++i) {
      EXPECT_TRUE(packed.contains(std::to_integer<uint8_t>(block[i]))) << i;
    }
  }
}

TEST(CliSynth, EveryTypeRunsOrSaysThatItDoesNot) {
  for (const char* type : kTypes) {
    const Result<GgufFile> file = ParseBytes(Synth(type, {}));
    ASSERT_TRUE(file) << file.error().OneLine();
    const bool runs = std::ranges::all_of(file->tensors, HasMatmul, &TensorInfo::dtype);
    const std::string path = TempPath("synth.gguf");
    const ProcessResult run = Llm({"-m", path, "-p", "hello", "-n", "2", "--temp", "0", "-q"});
    EXPECT_EQ(run.exit_code, runs ? 0 : 69) << type << run.err;
    EXPECT_EQ(Llm({"verify", "-m", path}).exit_code, 0) << type;
  }
}

TEST(CliSynth, MixtureSpendsMoreOnTheOutput) {
  const Result<GgufFile> file = ParseBytes(Synth("Q4_K_M", {}));
  ASSERT_TRUE(file);
  for (const TensorInfo& tensor : file->tensors) {
    if (tensor.n_dims == 1) continue;
    const DType expected = tensor.name == "output.weight" ? DType::kQ6_K : DType::kQ4_K;
    EXPECT_EQ(tensor.dtype, expected) << tensor.name;
  }
}

TEST(CliSynth, MakesMixturesOfExperts) {
  const std::string path = TempPath("experts.gguf");
  const ProcessResult made =
      Llm({"synth", "--shape", "256:512:2:4:2:512:4:2", "--type", "Q4_K_M", "--force", path});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const ProcessResult run = Llm({"run", "-m", path, "-p", "a", "-n", "3", "--ignore-eos"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const Result<GgufFile> file = ParseBytes(ReadFile(path));
  ASSERT_TRUE(file) << file.error().OneLine();
  EXPECT_EQ(file->metadata.GetUint("llama.expert_count").value(), 4U);
  EXPECT_EQ(file->metadata.GetUint("llama.expert_used_count").value(), 2U);
  size_t experts = 0;
  for (const TensorInfo& tensor : file->tensors) {
    if (tensor.n_dims == 3) experts += tensor.dims[2];
  }
  EXPECT_EQ(experts, 2U * 3 * 4) << "of two layers three matrices";
  std::filesystem::remove(path);
}

TEST(CliSynth, RefusesWhatCannotBe) {
  const std::string path = TempPath("refused.gguf");
  const auto synth = [&](const std::string& shape, const std::string& type) {
    return Llm({"synth", "--shape", shape, "--type", type, path});
  };
  ExpectError(synth("huge", "Q4_0"), 64, "tinyllama-1.1b");
  ExpectError(synth("256:512:2:4:2", "Q4_0"), 64, "D:FF:L:H:KV:V");
  ExpectError(synth("256:512:2:4:2:512:1", "Q4_0"), 64, "D:FF:L:H:KV:V");
  ExpectError(synth("256:512:2:4:2:512:4:2:1", "Q4_0"), 64, "D:FF:L:H:KV:V");
  ExpectError(synth("256:512:2:4:2:512:4:0", "Q4_0"), 64, "K = 1");
  ExpectError(synth("256:512:2:4:2:512:4:5", "Q4_0"), 64, "a token uses K");
  ExpectError(synth("256:512:2:4:2:512:1000:2", "Q4_0"), 64, "E = 2 to 512");
  ExpectError(synth("256:512:2:4:3:512", "Q4_0"), 64, "KV");
  ExpectError(synth("258:512:2:4:2:512", "F32"), 64, "D = 258");
  ExpectError(synth("256:512:2:4:2:100", "F32"), 64, "V is 100");
  ExpectError(synth("256:512:0:4:2:512", "F32"), 64, "L is 0");
  ExpectError(synth("256:512:2147483648:4:2:512", "F32"), 64, "L is 2147483648");
  ExpectError(synth("256:544:2:4:2:512", "Q4_K"), 64, "--type Q8_0");
  ExpectError(synth("256:520:2:4:2:512", "Q4_0"), 64, "--type F16");
  ExpectError(synth(kShape, "Q9_9"), 64, "Q9_9");
  ExpectError(synth("262144:1048576:1024:8:8:512", "F32"), 75, "are needed");
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(HasUnfinished(path));
}

TEST(CliSynth, DoesNotOverwriteUnlessForced) {
  const std::string path = TempPath("mine.gguf");
  std::ofstream(path) << "mine";
  ExpectError(Llm({"synth", "--shape", kShape, path}), 64, "--force");
  EXPECT_EQ(ReadFile(path).size(), 4U);
  EXPECT_EQ(Llm({"synth", "--shape", kShape, "--force", path}).exit_code, 0);
  EXPECT_GT(ReadFile(path).size(), 1000U);
  ExpectError(Llm({"synth", "--shape", kShape, TempPath("")}), 64, "directory");
  ExpectError(Llm({"synth", "--shape", kShape, TempPath("no/where.gguf")}), 66, "no");
}

}  // namespace
}  // namespace llmrun
