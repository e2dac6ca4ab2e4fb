// `llm-run synth`: the same seed gives the same bytes, the values are distributed as promised, and
// what comes out is a model that runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "compute/codec.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr char kShape[] = "256:512:2:4:2:512";
const char* const kTypes[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "Q4_K_M"};

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

TEST(CliSynth, ValuesHaveTheDeviationOfTheirRows) {
  for (const char* type : kTypes) {
    const std::vector<std::byte> bytes = Synth(type, {});
    const Result<GgufFile> file = ParseBytes(bytes);
    ASSERT_TRUE(file) << file.error().OneLine();
    EXPECT_EQ(file->file_bytes, bytes.size());
    for (const TensorInfo& tensor : file->tensors) {
      const uint64_t rows = tensor.dims[1];
      std::vector<float> values(tensor.dims[0]);
      double sum = 0;
      double squares = 0;
      for (uint64_t row = 0; row < rows; ++row) {
        const std::byte* at =
            bytes.data() + tensor.file_offset + row * RowBytes(tensor.dtype, values.size());
        ASSERT_TRUE(
            DequantizeRow(tensor.dtype, at, static_cast<int64_t>(values.size()), values.data()));
        for (const double value : values) {
          sum += value;
          squares += value * value;
        }
      }
      const double n = static_cast<double>(rows * values.size());
      const double mean = sum / n;
      const double deviation = std::sqrt(squares / n - mean * mean);
      const bool norm = tensor.n_dims == 1;
      const double expected = norm ? 0.05 : 1 / std::sqrt(static_cast<double>(values.size()));
      EXPECT_NEAR(mean, norm ? 1 : 0, norm ? 0.02 : 0.05 * expected) << type << tensor.name;
      EXPECT_NEAR(deviation, expected, (norm ? 0.2 : 0.04) * expected) << type << tensor.name;
    }
  }
}

TEST(CliSynth, EveryTypeRuns) {
  for (const char* type : kTypes) {
    Synth(type, {});
    const std::string path = TempPath("synth.gguf");
    const ProcessResult run = Llm({"-m", path, "-p", "hello", "-n", "2", "--temp", "0", "-q"});
    EXPECT_EQ(run.exit_code, 0) << type << run.err;
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

TEST(CliSynth, RefusesWhatCannotBe) {
  const std::string path = TempPath("refused.gguf");
  const auto synth = [&](const std::string& shape, const std::string& type) {
    return Llm({"synth", "--shape", shape, "--type", type, path});
  };
  ExpectError(synth("huge", "Q4_0"), 64, "tinyllama-1.1b");
  ExpectError(synth("256:512:2:4:2", "Q4_0"), 64, "D:FF:L:H:KV:V");
  ExpectError(synth("256:512:2:4:2:512:1", "Q4_0"), 64, "D:FF:L:H:KV:V");
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
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
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
