// The commands that make models of models: quantize and imatrix, split, merge; and perplexity,
// which says what they are worth.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "loader/gguf/gguf_writer.h"
#include "loader/open_model.h"
#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

constexpr char kTinyF16[] = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-f16.gguf";
constexpr char kHeldOut[] = LLMRUN_SOURCE_DIR "/models/heldout.txt";

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(std::filesystem::file_size(path), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(in.good()) << path;
  return bytes;
}

// Name, type and bytes of every tensor.
std::map<std::string, std::pair<DType, std::string>> TensorsOf(const std::string& path) {
  std::map<std::string, std::pair<DType, std::string>> tensors;
  const Result<TensorIndex> index = OpenModel(path);
  EXPECT_TRUE(index) << index.error().OneLine();
  if (!index) return tensors;
  std::vector<std::string> files;
  for (const GgufFile& file : index->files()) files.push_back(Slurp(file.label));
  for (const IndexedTensor& tensor : index->tensors()) {
    tensors[tensor.name] = {
        tensor.dtype, files[tensor.extent.file].substr(tensor.extent.offset, tensor.extent.bytes)};
  }
  return tensors;
}

ProcessResult Made(const std::vector<std::string>& args) {
  const ProcessResult result = Llm(args);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result;
}

TEST(CliQuantize, WritesAModelThatRuns) {
  const std::string out = TempPath("q4.gguf");
  const ProcessResult made = Made({"quantize", kTinyF16, out, "Q4_K_M", "--force"});
  EXPECT_EQ(made.out, "");
  EXPECT_THAT(made.err, HasSubstr("bits per weight"));
  EXPECT_FALSE(HasUnfinished(out));
  const auto before = OpenModel(kTinyF16);
  const auto after = OpenModel(out);
  ASSERT_TRUE(before && after);
  const Metadata& metadata = after->metadata();
  EXPECT_EQ(metadata.GetUint("general.file_type").value(), 15U);
  EXPECT_EQ(metadata.GetUint("general.quantization_version").value(), 2U);
  for (const MetaEntry& entry : before->metadata().entries()) {
    EXPECT_NE(metadata.Find(entry.key), nullptr) << entry.key;
  }
  EXPECT_EQ(Llm({"verify", "-m", out}).exit_code, 0);
  EXPECT_EQ(Llm({"-m", out, "-p", "Once", "-n", "3", "-q"}).exit_code, 0);
}

TEST(CliQuantize, BytesDoNotDependOnThreads) {
  const std::string out = TempPath("threads.gguf");
  Made({"quantize", kTinyF16, out, "Q3_K_M", "-t", "1", "--force"});
  const std::string one = Slurp(out);
  Made({"quantize", kTinyF16, out, "Q3_K_M", "-t", "3", "--force"});
  EXPECT_EQ(Slurp(out), one);
}

TEST(CliQuantize, EveryTypeIsThatOfItsTensors) {
  const std::string out = TempPath("type.gguf");
  for (const char* type :
       {"F32",  "F16",  "BF16", "Q8_0",   "Q4_0",   "Q4_1",  "Q5_0",  "Q5_1",  "Q2_K", "Q3_K",
        "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "I2_S", "IQ2_BN"}) {
    Made({"quantize", "--pure", kTinyF16, out, type, "--force"});
    const auto tensors = TensorsOf(out);
    EXPECT_EQ(tensors.at("blk.0.ffn_down.weight").first, *ParseDType(type)) << type;
    EXPECT_EQ(tensors.at("blk.0.attn_norm.weight").first, DType::kF32) << type;
    EXPECT_EQ(Llm({"verify", "-m", out}).exit_code, 0) << type;
  }
}

// I2_S to I2_S by way of F32: the scale behind the rows is found again.
TEST(CliQuantize, ScalesOfWholeTensorsAreFoundAgain) {
  const std::string ternary = TempPath("i2s.gguf");
  const std::string floats = TempPath("i2s-f32.gguf");
  const std::string again = TempPath("i2s-again.gguf");
  Made({"quantize", "--pure", kTinyF16, ternary, "I2_S", "--force"});
  ExpectError(Llm({"quantize", ternary, floats, "F32"}), 64, "--allow-requantize");
  Made({"quantize", "--allow-requantize", ternary, floats, "F32", "--force"});
  Made({"quantize", "--pure", floats, again, "I2_S", "--force"});
  EXPECT_EQ(TensorsOf(again), TensorsOf(ternary));
}

// The shipped ternary models have the same weights: each is made of the other, to the bit.
TEST(CliQuantize, TernaryWeightsStayWhatTheyAre) {
  const std::string tq2 = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-ternary-tq2_0.gguf";
  const std::string i2s = LLMRUN_SOURCE_DIR "/models/llm-run-tiny-ternary-i2_s.gguf";
  const std::string out = TempPath("ternary.gguf");
  for (const auto& [from, type, to] : {std::tuple(tq2, "I2_S", i2s), {i2s, "TQ2_0", tq2}}) {
    Made({"quantize", "--allow-requantize", from, out, type, "--force"});
    const auto made = TensorsOf(out);
    int matrices = 0;
    for (const auto& [name, tensor] : TensorsOf(to)) {
      if (tensor.first != *ParseDType(type)) continue;  // norms and the embedding
      EXPECT_TRUE(made.at(name) == tensor) << type << " " << name;
      ++matrices;
    }
    EXPECT_EQ(matrices, 4 * 7);
  }
}

TEST(CliQuantize, ImportanceChangesWhatIsKept) {
  // Of one tensor: its first columns are all that matters.
  std::vector<std::byte> file;
  const auto add = [&](const void* data, size_t n) {
    const auto* bytes = static_cast<const std::byte*>(data);
    file.insert(file.end(), bytes, bytes + n);
  };
  const auto index = OpenModel(kTinyF16);
  ASSERT_TRUE(index);
  const std::string name = "blk.0.ffn_up.weight";
  const auto columns = static_cast<int32_t>(index->at(*index->Find(name)).dims[0]);
  for (const int32_t value : {int32_t{1}, static_cast<int32_t>(name.size())}) add(&value, 4);
  add(name.data(), name.size());
  for (const int32_t value : {int32_t{1}, columns}) add(&value, 4);
  for (int32_t i = 0; i < columns; ++i) {
    const float weight = i < 32 ? 1.0F : 0.01F;
    add(&weight, 4);
  }
  const std::string importance = WriteModel("test.imatrix", file);
  const std::string plain = TempPath("plain.gguf");
  const std::string weighted = TempPath("weighted.gguf");
  Made({"quantize", "--pure", kTinyF16, plain, "Q4_K", "--force"});
  Made({"quantize", "--pure", "--imatrix", importance, kTinyF16, weighted, "Q4_K", "--force"});
  const auto a = TensorsOf(plain);
  const auto b = TensorsOf(weighted);
  for (const auto& [tensor, bytes] : a) EXPECT_EQ(b.at(tensor) == bytes, tensor != name) << tensor;
  ExpectError(Llm({"quantize", "--imatrix", TempPath("none"), kTinyF16, weighted, "Q4_K"}), 66,
              "none");
}

TEST(CliQuantize, SaysWhatItWouldDoAndWhatDoesNotFit) {
  const std::string path = WriteModel("narrow.gguf", BuildTinyLlama({.dtype = DType::kF16}));
  const ProcessResult shown = Made({"quantize", "--dry-run", path, TempPath("no.gguf"), "Q4_K_M"});
  EXPECT_THAT(shown.out, HasSubstr("blk.0.attn_q.weight"));
  EXPECT_THAT(shown.err, HasSubstr("wanted blk.0.attn_q.weight as Q4_K, got Q5_0"));
  EXPECT_FALSE(std::filesystem::exists(TempPath("no.gguf")));
  ExpectError(Llm({"quantize", path, TempPath("no.gguf"), "Q9"}), 64, "Q4_K_M");
  ExpectError(Llm({"quantize", path, path, "Q8_0"}), 64, "--force");
  ExpectError(Llm({"quantize", TempPath("nowhere.gguf"), path, "Q8_0"}), 66, "nowhere.gguf");
  ExpectError(Llm({"quantize", "--output-tensor-type", "Q9", path, path, "Q8_0"}), 64, "Q9");
}

// --- split and merge ---

TEST(CliSplit, MergingGivesTheModelBack) {
  const std::string whole = WriteModel("whole.gguf", BuildTinyLlama({.n_layers = 3}));
  Made({"split", "--split-max-tensors", "9", "--force", whole, TempPath("part.gguf")});
  const auto parts = OpenModel(TempPath("part-00002-of-00004.gguf"));
  ASSERT_TRUE(parts) << parts.error().OneLine();
  EXPECT_EQ(parts->files().size(), 4U);
  EXPECT_EQ(parts->files()[3].metadata.GetUint("split.no").value(), 3U);
  EXPECT_EQ(TensorsOf(TempPath("part-00001-of-00004.gguf")), TensorsOf(whole));
  const std::string merged = TempPath("merged.gguf");
  Made({"merge", "--force", TempPath("part-00001-of-00004.gguf"), merged});
  EXPECT_EQ(Slurp(merged), Slurp(whole));
  EXPECT_EQ(
      Llm({"run", "-m", TempPath("part-00001-of-00004.gguf"), "-p", "a", "-n", "1"}).exit_code, 0);
}

TEST(CliSplit, PartsHaveAtMostTheirSize) {
  const std::string whole = WriteModel("sized.gguf", BuildTinyLlama({.n_layers = 3}));
  const ProcessResult shown =
      Made({"split", "--dry-run", "--split-max-size", "100K", whole, TempPath("sized")});
  EXPECT_THAT(shown.out, HasSubstr("sized-00001-of-"));
  Made({"split", "--split-max-size", "100K", "--force", whole, TempPath("sized")});
  const std::string first = shown.out.substr(0, shown.out.find(' '));
  const auto parts = OpenModel(first);
  ASSERT_TRUE(parts) << parts.error().OneLine();
  EXPECT_GT(parts->files().size(), 2U);
  for (const GgufFile& file : parts->files()) {
    uint64_t bytes = 0;
    for (const TensorInfo& tensor : file.tensors) bytes += tensor.bytes;
    EXPECT_TRUE(bytes <= 100 * 1024 || file.tensors.size() == 1) << file.label;
  }
  ExpectError(Llm({"split", "--split-max-size", "100K", whole, TempPath("sized")}), 64, "--force");
  ExpectError(Llm({"split", "--split-max-size", "0", whole, TempPath("x")}), 64, "nothing");
  ExpectError(Llm({"merge", TempPath("nowhere.gguf"), TempPath("x")}), 66, "nowhere");
}

// --- imatrix ---

TEST(CliImatrix, MeasuresWhatQuantizeWeighsErrorsBy) {
  const std::string imatrix = TempPath("imatrix.gguf");
  const ProcessResult measured = Made({"imatrix", "-m", kTinyF16, "-f", kHeldOut, "-c", "64",
                                       "--chunks", "5", "-o", imatrix, "--force"});
  EXPECT_EQ(measured.out, "");
  EXPECT_THAT(measured.err, HasSubstr("chunk  5/5  perplexity "));
  EXPECT_THAT(measured.err, HasSubstr("35 tensors, 5 chunks of 64 tokens"));
  const auto tensors = TensorsOf(imatrix);
  EXPECT_EQ(tensors.size(), 70U);
  EXPECT_EQ(tensors.count("blk.4.ffn_down.weight.in_sum2"), 1U);
  EXPECT_EQ(tensors.count("token_embd.weight.in_sum2"), 0U);

  const auto quantized = [&](const std::vector<std::string>& options) {
    const std::string model = TempPath("weighed.gguf");
    std::vector<std::string> args = {"quantize", kTinyF16, model, "Q4_K", "--pure", "--force"};
    args.insert(args.end(), options.begin(), options.end());
    Made(args);
    return TensorsOf(model);
  };
  const auto plain = quantized({});
  for (const auto& [name, tensor] : quantized({"--imatrix", imatrix})) {
    const bool measured_it = tensors.contains(name + ".in_sum2");
    EXPECT_EQ(tensor == plain.at(name), !measured_it) << name;
  }
}

TEST(CliImatrix, CtrlCKeepsTheChunksSoFar) {
  const std::string imatrix = TempPath("some.gguf");
  ProcessOptions options;
  options.args = {kBinary, "imatrix", "-m", kTinyF16, "-f", kHeldOut, "-c", "8", "-o", imatrix};
  options.awaited = "chunk  3/";
  options.on_output = [](int pid) { ::kill(pid, SIGINT); };
  const ProcessResult result = RunProcess(options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("note   interrupted after "));
  EXPECT_EQ(TensorsOf(imatrix).size(), 70U);
}

TEST(CliImatrix, RefusesAndKeepsWhatIsThere) {
  const std::string there = TempPath("there.gguf");
  std::ofstream(there) << "text";
  ExpectError(Llm({"imatrix", "-m", kTinyF16, "-f", kHeldOut, "-o", there}), 64, "--force");
  EXPECT_EQ(Slurp(there), "text");
  ExpectError(Llm({"imatrix", "-m", kTinyF16, "-o", TempPath("new.gguf")}), 64, "-f FILE");
  EXPECT_FALSE(std::filesystem::exists(TempPath("new.gguf")));
}

// --- perplexity ---

TEST(CliPerplexity, ComparesWithTheLikelihoodsOfABase) {
  const std::string base = TempPath("base.lp");
  const ProcessResult text = Made({"perplexity", "-m", kTinyF16, "-f", kHeldOut, "-c", "64",
                                   "--chunks", "6", "--kl-divergence-base", base});
  EXPECT_THAT(text.out, HasSubstr("[6]"));
  EXPECT_THAT(text.out, HasSubstr("Final estimate: PPL = "));
  const auto json = nlohmann::json::parse(Made({"perplexity", "-m", kTinyF16, "-f", kHeldOut, "-c",
                                                "64", "--chunks", "6", "-o", "json"})
                                              .out);
  EXPECT_EQ(json["tokens_scored"], 6 * 31);
  EXPECT_THAT(text.out, HasSubstr(fmt::format("PPL = {:.4f}", json["ppl"].get<double>())));
  const auto same =
      nlohmann::json::parse(Made({"perplexity", "-m", kTinyF16, "--kl-divergence-base", base,
                                  "--kl-divergence", "-o", "json"})
                                .out);
  // The file rounds log likelihoods to 4e-4.
  EXPECT_NEAR(same["kl_divergence"]["value"].get<double>(), 0, 4e-4);
  EXPECT_GT(same["same_top"]["value"].get<double>(), 0.98);
  EXPECT_NEAR(same["ppl"].get<double>() / json["ppl"].get<double>(), 1, 1e-9);
  EXPECT_NEAR(same["ppl_base"]["value"].get<double>() / json["ppl"].get<double>(), 1, 1e-3);
  const std::string worse = TempPath("worse.gguf");
  Made({"quantize", "--pure", kTinyF16, worse, "Q2_K", "--force"});
  const ProcessResult compared =
      Made({"perplexity", "-m", worse, "--kl-divergence-base", base, "--kl-divergence"});
  EXPECT_THAT(compared.out, HasSubstr("Mean KLD"));
}

TEST(CliPerplexity, RefusesWhatItCannotScore) {
  ExpectError(Llm({"perplexity", "-m", kTinyF16}), 64, "-f FILE");
  ExpectError(Llm({"perplexity", "-m", kTinyF16, "--kl-divergence"}), 64, "--kl-divergence-base");
  ExpectError(Llm({"perplexity", "-m", kTinyF16, "-f", kHeldOut, "-o", "xml"}), 64, "json");
  const std::string little = TempPath("little.txt");
  std::ofstream(little) << "a few words";
  ExpectError(Llm({"perplexity", "-m", kTinyF16, "-f", little}), 64, "one chunk has 512");
  ExpectError(
      Llm({"perplexity", "-m", kTinyF16, "--kl-divergence", "--kl-divergence-base", little}), 65,
      "no file of log likelihoods");
}

}  // namespace
}  // namespace llmrun
