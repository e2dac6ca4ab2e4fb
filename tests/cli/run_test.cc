// `llm-run run` and `eval` as a user types them: what is on stdout, what on stderr, which exit
// code.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "compute/kernels.h"
#include "tests/cli/llm.h"
#include "tests/support/gguf_builder.h"
#include "tests/support/run_process.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The 4 bytes behind a key of the given type id in a GGUF.
std::vector<std::byte> WithU32(std::vector<std::byte> bytes, const std::string& key,
                               uint32_t value) {
  const auto* begin = reinterpret_cast<const char*>(bytes.data());
  const auto* found = std::search(begin, begin + bytes.size(), key.begin(), key.end());
  EXPECT_NE(found, begin + bytes.size()) << key;
  std::memcpy(bytes.data() + (found - begin) + key.size() + 4, &value, sizeof value);
  return bytes;
}

TEST(Run, GreedyTextIsTheSameForEveryLoaderIsaAndThreadCount) {
  const std::vector<std::string> base = {"-m",     kTinyModel, "-p", "Once upon a time", "-n", "24",
                                         "--temp", "0",        "-q"};
  const ProcessResult expected = Llm(base);
  ASSERT_EQ(expected.exit_code, 0) << expected.err;
  EXPECT_EQ(expected.err, "");
  EXPECT_THAT(expected.out, StartsWith("Once upon a time"));
  EXPECT_GT(expected.out.size(), 40U);
  for (const char* loader : {"mmap", "read", "io_uring", "splice", "auto"}) {
    for (const char* threads : {"1", "2", "4"}) {
      std::vector<std::string> args = base;
      args.insert(args.end(), {"--loader", loader, "-t", threads});
      const ProcessResult result = Llm(args);
      EXPECT_EQ(result.out, expected.out) << loader << " with " << threads << " threads";
    }
  }
  for (const IsaLevel level : AllIsaLevels()) {
    const std::string name(NameOf(level));
    if (!ChooseIsa(name)) continue;  // this processor does not have it
    EXPECT_EQ(Llm(base, {{"LLM_RUN_ISA", name}}).out, expected.out) << name;
  }
}

TEST(Run, SeedDecidesTheText) {
  const auto text = [](const char* seed) {
    return Llm({"-m", kTinyModel, "-p", "The", "-n", "16", "--temp", "1.2", "-s", seed, "-q"}).out;
  };
  EXPECT_EQ(text("7"), text("7"));
  EXPECT_NE(text("7"), text("8"));
}

TEST(Run, TakesThePromptFromFileAndStandardInput) {
  const std::string path = TempPath("prompt.txt");
  std::ofstream(path) << "The dog";
  const std::vector<std::string> tail = {"-n", "8", "--temp", "0", "-q"};
  std::vector<std::string> from_text = {"-m", kTinyModel, "-p", "The dog"};
  std::vector<std::string> from_file = {"-m", kTinyModel, "-f", path};
  ProcessOptions from_stdin;
  from_stdin.args = {kBinary, "-m", kTinyModel};
  from_stdin.input = "The dog";
  for (auto* args : {&from_text, &from_file, &from_stdin.args}) {
    args->insert(args->end(), tail.begin(), tail.end());
  }
  const std::string expected = Llm(from_text).out;
  EXPECT_THAT(expected, StartsWith("The dog"));
  EXPECT_EQ(Llm(from_file).out, expected);
  EXPECT_EQ(RunProcess(from_stdin).out, expected);
  EXPECT_EQ(Llm({kTinyModel, "The dog", "-n", "8", "--temp", "0", "-q"}).out, expected);
}

TEST(Run, QuietIsQuietAboutTheShippedModelToo) {
  const std::vector<std::string> args = {"-p", "The dog", "-n", "2", "--temp", "0"};
  EXPECT_THAT(Llm(args).err, StartsWith("model  no -m given, using the shipped "));
  std::vector<std::string> quiet = args;
  quiet.push_back("-q");
  EXPECT_EQ(Llm(quiet).err, "");
  EXPECT_EQ(Llm(quiet).out, Llm(args).out);
}

TEST(Run, ZeroTokensLoadsAndReadsThePrompt) {
  const ProcessResult result = Llm({"-m", kTinyModel, "-p", "Once", "-n", "0"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "Once\n");
  EXPECT_THAT(result.err, HasSubstr("load "));
  EXPECT_THAT(result.err, Not(HasSubstr("first token")));
  EXPECT_THAT(result.err, Not(HasSubstr("decode")));
}

TEST(Run, WritesTheLoadReport) {
  const std::string path = TempPath("report.json");
  const ProcessResult result = Llm({"-m", kTinyModel, "-p", "x", "-n", "1", "--loader", "io_uring",
                                    "--hugepages", "1G", "--report", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::ifstream in(path);
  const nlohmann::json report = nlohmann::json::parse(in);
  for (const char* field : {"loader", "requested", "got", "fallbacks", "file_bytes", "read_bytes",
                            "seconds", "gb_per_s", "device_limit_gb_per_s", "time_to_first_layer_s",
                            "cpu_seconds", "stolen_cpu_seconds", "copies", "pages", "nodes",
                            "remote_fraction", "minor_faults", "major_faults", "xxh3"}) {
    EXPECT_TRUE(report.contains(field)) << field;
  }
  EXPECT_EQ(report["requested"], "io_uring");
  EXPECT_EQ(report["file_bytes"], std::filesystem::file_size(kTinyModel));
  EXPECT_FALSE(report["fallbacks"].empty());  // the model is smaller than one 1G page
  for (const nlohmann::json& fallback : report["fallbacks"]) {
    EXPECT_NE(fallback["why"], "");
    EXPECT_THAT(result.err, HasSubstr(std::string(fallback["why"])));
  }
  EXPECT_EQ(std::string(report["xxh3"]).size(), 16U);
}

// The kernel does not tell others what the page cache holds of a file; loading must not need it.
TEST(Run, LoadsAModelOfSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  const std::string path = WriteModel("theirs.gguf", BuildTinyLlama({}));
  ProcessOptions options;
  options.args = {kBinary, "-m", path, "-p", "x", "-n", "1"};
  options.uid = 65534;
  const ProcessResult result = RunProcess(options);
  if (result.exit_code == 127) GTEST_SKIP() << "the build is not readable for others";
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST(Run, WithoutThreadsSaysWhichLimitsToRaise) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  const std::string path = WriteModel("anybodys.gguf", BuildTinyLlama({}));
  ProcessOptions options;
  options.args = {"/usr/bin/prlimit", "--nproc=1", kBinary, "-m", path, "-p", "x", "-n", "1"};
  options.uid = 65534;
  options.env = {{"ASAN_OPTIONS", "detect_leaks=0"}};  // which takes a thread
  const ProcessResult result = RunProcess(options);
  if (result.exit_code == 126 || result.exit_code == 127) {
    GTEST_SKIP() << "the build is not readable for others";
  }
  ExpectError(result, 75, "fewer threads");
}

TEST(Run, EndsCleanlyOnCtrlC) {
  ProcessOptions options;
  options.args = {kBinary, "-m", kTinyModel,     "-p", "Once",
                  "-n",    "-1", "--ignore-eos", "-c", "4096"};
  options.on_output = [](int pid) { ::kill(pid, SIGINT); };
  const ProcessResult result = RunProcess(options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
}

TEST(Run, EndsQuietlyWhenItsReaderGoesAway) {
  ProcessOptions options;
  options.args = {kBinary, "-m", kTinyModel, "-p", "Once", "-n", "8", "-q"};
  options.close_stdout = true;
  const ProcessResult result = RunProcess(options);
  EXPECT_EQ(result.signal, 0);
  EXPECT_EQ(result.err, "");
}

TEST(RunErrors, Input) {
  ExpectError(Llm({"-m", "/nonexistent.gguf", "-p", "x"}), 66, "/nonexistent.gguf");
  ExpectError(Llm({"-m", testing::TempDir(), "-p", "x"}), 66, "directory");
  ExpectError(Llm({"-m", WriteModel("empty.gguf", {}), "-p", "x"}), 65, "empty");
  const std::vector<std::byte> good = BuildTinyLlama({});
  ExpectError(Llm({"-m", WriteModel("cut.gguf", {good.begin(), good.end() - 1000}), "-p", "x"}), 65,
              "cut.gguf");
  ExpectError(
      Llm({"-m", WriteModel("text.gguf", std::vector<std::byte>(100, std::byte{'a'})), "-p", "x"}),
      65, "GGUF");
  ExpectError(Llm({"-m", kTinyModel, "-f", "/nonexistent.txt"}), 66, "/nonexistent.txt");
}

TEST(RunErrors, Hyperparameters) {
  const std::vector<std::byte> good = BuildTinyLlama({});
  ASSERT_EQ(Llm({"-m", WriteModel("good.gguf", good), "-p", "x", "-n", "1"}).exit_code, 0);
  const struct {
    const char* key;
    uint32_t value;
  } cases[] = {{"llama.attention.head_count", 0},
               {"llama.attention.head_count", 3},
               {"llama.block_count", 0x80000000},
               {"llama.block_count", 0},
               {"llama.block_count", 3},
               {"llama.embedding_length", 0xffffffff},
               {"llama.feed_forward_length", 0},
               {"llama.attention.head_count_kv", 3},
               {"llama.rope.dimension_count", 0x7fffffff}};
  for (const auto& c : cases) {
    SCOPED_TRACE(std::string(c.key) + " = " + std::to_string(c.value));
    ExpectError(Llm({"-m", WriteModel("bad.gguf", WithU32(good, c.key, c.value)), "-p", "x"}), 65,
                "bad.gguf");
  }
}

TEST(RunErrors, Architecture) {
  std::vector<std::byte> bytes = BuildTinyLlama({});
  // The value of general.architecture: the first string "llama" behind its key.
  auto* text = reinterpret_cast<char*>(bytes.data());
  const std::string key = "general.architecture";
  char* found = std::search(text, text + bytes.size(), key.begin(), key.end());
  std::memcpy(found + key.size() + 4 + 8, "mamba", 5);
  ExpectError(Llm({"-m", WriteModel("mamba.gguf", bytes), "-p", "x"}), 69, "mamba");
}

TEST(RunErrors, Requests) {
  std::string long_prompt;
  for (int i = 0; i < 200; ++i) long_prompt += "one two three ";
  ExpectError(Llm({"-m", kTinyModel, "-p", long_prompt, "-c", "64"}), 64, "-c");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "--temp", "-1"}), 64, "temp");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "--loader", "carrier-pigeon"}), 64,
              "carrier-pigeon");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "-t", "100000"}), 64, "threads");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "-ctk", "q4_1"}), 69, "q4_1");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "-ctv", "q9_9"}), 64, "q9_9");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x"}, {{"LLM_RUN_ISA", "mmx"}}), 64, "mmx");
  ExpectError(Llm({"-m", kTinyModel, "-p", "x", "-c", "100000000"}), 75, "GiB");
}

std::vector<float> ReadFloats(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

TEST(Eval, AgreesWithTheKnownLogitsOfTheShippedModel) {
  const std::string data = LLMRUN_SOURCE_DIR "/tests/data/tiny/";
  const std::string path = TempPath("logits.f32");
  const ProcessResult result = Llm({"eval", "-m", LLMRUN_SOURCE_DIR "/models/llm-run-tiny-f16.gguf",
                                    "--tokens-file", data + "tokens.txt", "--logits", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<float> truth = ReadFloats(data + "logits_true.f32");
  const std::vector<float> got = ReadFloats(path);
  ASSERT_EQ(got.size(), truth.size());
  ASSERT_GT(truth.size(), 0U);
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    error += (double{got[i]} - truth[i]) * (double{got[i]} - truth[i]);
    norm += double{truth[i]} * truth[i];
  }
  EXPECT_LE(error / norm, 1e-5);
}

TEST(Eval, RefusesTokensThatAreNone) {
  const std::string path = TempPath("none.f32");
  ExpectError(Llm({"eval", "-m", kTinyModel, "--tokens", "1 x", "--logits", path}), 64, "'x'");
  ExpectError(Llm({"eval", "-m", kTinyModel, "--tokens", "999999", "--logits", path}), 64,
              "999999");
  ExpectError(Llm({"eval", "-m", kTinyModel, "--tokens", "", "--logits", path}), 64, "token");
}

TEST(Bench, PrintsRowsThatToolsCanRead) {
  const ProcessResult result =
      Llm({"bench", "-m", kTinyModel, "-p", "16", "-n", "4", "-r", "2", "-t", "1,2", "-o", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0]["n_prompt"], 16);
  EXPECT_EQ(rows[1]["n_gen"], 4);
  EXPECT_EQ(rows[3]["n_threads"], 2);
  for (const nlohmann::json& row : rows) {
    EXPECT_GT(row["avg_ts"], 0);
    EXPECT_EQ(row["samples_ns"].size(), 2U);
  }
}

TEST(Bench, ComparesEachRowWithWhatIsPossible) {
  const ProcessResult result =
      Llm({"bench", "-m", kTinyModel, "-p", "16", "-n", "4", "-r", "2", "-t", "2", "-o", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 2U);
  const nlohmann::json& prompt = rows[0];
  const nlohmann::json& decode = rows[1];
  for (const char* field :
       {"weight_bytes_per_token", "gb_per_s", "read_gb_per_s", "read_percent"}) {
    EXPECT_TRUE(prompt[field].is_null()) << field;
    EXPECT_GT(decode[field], 0) << field;
  }
  for (const char* field :
       {"weight_macs_per_prompt", "gmac_per_s", "peak_gmac_per_s", "peak_percent"}) {
    EXPECT_GT(prompt[field], 0) << field;
    EXPECT_TRUE(decode[field].is_null()) << field;
  }
  const auto is_near = [](double got, double wanted) { EXPECT_NEAR(got / wanted, 1, 1e-9); };
  const double token_bytes = decode["weight_bytes_per_token"];
  is_near(decode["gb_per_s"], decode["median_ts"].get<double>() * token_bytes * 1e-9);
  is_near(decode["read_percent"],
          100 * decode["gb_per_s"].get<double>() / decode["read_gb_per_s"].get<double>());
  const double prompt_macs = prompt["weight_macs_per_prompt"];
  is_near(prompt["gmac_per_s"], prompt["median_ts"].get<double>() / 16 * prompt_macs * 1e-9);
  is_near(prompt["peak_percent"],
          100 * prompt["gmac_per_s"].get<double>() / prompt["peak_gmac_per_s"].get<double>());
}

TEST(Bench, MeasuresBehindTokensThatAreInTheCache) {
  const ProcessResult result = Llm({"bench", "-m", kTinyModel, "-p", "8", "-n", "4", "-r", "1",
                                    "-t", "1", "-d", "0,32", "-o", "json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json rows = nlohmann::json::parse(result.out);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[1]["test"], "tg4");
  EXPECT_EQ(rows[2]["test"], "pp8 @ d32");
  EXPECT_EQ(rows[3]["n_depth"], 32);
  ExpectError(Llm({"bench", "-m", kTinyModel, "-n", "4", "-d", "-1"}), 64, "-1");
}

TEST(Bench, ShowsPercentagesToPeople) {
  const ProcessResult result =
      Llm({"bench", "-m", kTinyModel, "-p", "4", "-n", "2", "-r", "1", "-t", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* column :
       {"| gb_per_s", "| read_percent |", "| gmac_per_s", "| peak_percent |"}) {
    EXPECT_THAT(result.out, testing::HasSubstr(column));
  }
}

}  // namespace
}  // namespace llmrun
