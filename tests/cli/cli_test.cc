// The commands that do not run the model, as a user types them: documents on stdout, one-line
// errors on stderr, documented exit codes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "loader/gguf/gguf_writer.h"
#include "tests/cli/llm.h"
#include "text/tokenizer.h"

namespace llmrun {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// The document a command prints; null, which fails the test, when it is none.
Json JsonOf(std::vector<std::string> args,
            std::vector<std::pair<std::string, std::string>> env = {}) {
  args.push_back("--json");
  const ProcessResult result = Llm(args, std::move(env));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  Json json = Json::parse(result.out, nullptr, false);
  EXPECT_TRUE(json.is_object()) << result.out;
  return json;
}

// --- errors ---

TEST(CliErrors, BadModelFilesGiveOneLineAndTheirExitCode) {
  const std::vector<std::byte> model = BuildTinyLlama({});
  const std::string empty = WriteModel("empty.gguf", {});
  const std::string other = WriteModel("other.gguf", std::vector<std::byte>(4096, std::byte{'<'}));
  const std::string cut = WriteModel("cut.gguf", {model.begin(), model.end() - 1});
  const std::string head = WriteModel("head.gguf", {model.begin(), model.begin() + 1000});
  const std::string directory = TempPath("");
  for (const char* command : {"inspect", "verify", "plan", "tokenize"}) {
    const auto with = [&](const std::string& path) {
      const std::string last = std::string(command) == "tokenize" ? "--prompt=x" : "--json";
      return Llm({command, "-m", path, last});
    };
    SCOPED_TRACE(command);
    ExpectError(with(TempPath("missing.gguf")), 66, "missing.gguf");
    ExpectError(with(directory), 66, directory);
    ExpectError(with(empty), 65, "empty.gguf");
    ExpectError(with(other), 65, "other.gguf");
    ExpectError(with(cut), 65, "cut.gguf");
    ExpectError(with(head), 65, "head.gguf");
  }
}

TEST(CliErrors, UsageErrorsNameTheHelp) {
  ExpectError(Llm({"inspect", "--frobnicate"}), 64, "llm-run inspect --help");
  ExpectError(Llm({"plan", "--io-depth", "0"}), 64, "llm-run plan --help");
  ExpectError(Llm({"hugepages"}), 64, "llm-run hugepages --help");
  ExpectError(Llm({"tokenize", "-m", kTinyModel, "-p", "a", "-f", "b"}), 64, "");
  ExpectError(Llm({"--frobnicate"}), 64, "llm-run run --help");
  ExpectError(Llm({"inspct"}), 64, "'inspct'");
}

TEST(CliErrors, LoaderFlagsThatMeanNothing) {
  const auto plan = [](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"plan", "-m", kTinyModel});
    return Llm(flags);
  };
  ExpectError(plan({"--loader=floppy"}), 64, "--loader=floppy");
  ExpectError(plan({"--hugepages=3M"}), 64, "--hugepages=3M");
  ExpectError(plan({"--hugepages-policy=beg"}), 64, "beg");
  ExpectError(plan({"--load-mode=fast"}), 64, "--load-mode=fast");
  ExpectError(plan({"--io-chunk=7X"}), 64, "7X");
  ExpectError(plan({"--io-chunk=1"}), 64, "4K to 1G");
  ExpectError(plan({"--io-poll=busy"}), 64, "expected none, sqpoll or iopoll");
  ExpectError(plan({"--numa=bind:4095"}), 64, "4095");
  ExpectError(plan({"--numa=bind:"}), 64, "bind:");
  ExpectError(plan({"--numa=distributed"}), 64, "expected auto, off, bind:N");
  ExpectError(plan({"--loader=mmap", "--no-mmap"}), 64, "contradict");
  ExpectError(plan({"--mmap", "-dio"}), 64, "contradict");
}

TEST(CliErrors, StdoutThatCannotBeWritten) {
  ProcessOptions closed;
  closed.args = {kBinary, "inspect", "-m", kTinyModel};
  closed.close_stdout = true;
  const ProcessResult quiet = RunProcess(closed);
  EXPECT_EQ(quiet.exit_code, 0);
  EXPECT_EQ(quiet.err, "");
  const std::string command = std::string(kBinary) + " inspect -m " + kTinyModel + " > /dev/full";
  ProcessOptions full;
  full.args = {"/bin/sh", "-c", command};
  ExpectError(RunProcess(full), 71, "standard output");
}

TEST(CliHelp, TellsANewcomerWhatToType) {
  const ProcessResult top = Llm({"--help"});
  EXPECT_EQ(top.exit_code, 0);
  EXPECT_EQ(top.err, "");
  EXPECT_THAT(top.out, HasSubstr("llm-run -p \"Once upon a time\""));
  for (const char* command :
       {"run", "tokenize", "inspect", "plan", "verify", "eval", "bench", "bench-load", "synth",
        "doctor", "hugepages", "quantize", "perplexity", "split", "merge", "convert"}) {
    EXPECT_THAT(top.out, HasSubstr(std::string("\n  ") + command + " "));
    const ProcessResult help = Llm({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.out, HasSubstr(std::string("Usage: llm-run ") + command + " ["));
    EXPECT_THAT(help.out, HasSubstr("example")) << command;
  }
}

TEST(CliHelp, Version) {
  const ProcessResult version = Llm({"--version"}, {{"LLM_RUN_ISA", "portable"}});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, StartsWith("llm-run "));
  EXPECT_THAT(version.out, HasSubstr("isa portable\n"));
}

// --- where the model comes from ---

TEST(CliModel, FlagsBeatOurVariablesBeatThoseOfOthers) {
  const auto label = [](std::vector<std::string> args,
                        std::vector<std::pair<std::string, std::string>> env) {
    args.insert(args.begin(), {"inspect", "--no-tensors"});
    return JsonOf(args, std::move(env))["files"][0]["path"].get<std::string>();
  };
  const std::vector<std::byte> model = BuildTinyLlama({});
  const std::string a = WriteModel("a.gguf", model);
  const std::string b = WriteModel("b.gguf", model);
  const std::string c = WriteModel("c.gguf", model);
  EXPECT_EQ(label({}, {{"LLAMA_ARG_MODEL", a}}), a);
  EXPECT_EQ(label({}, {{"LLAMA_ARG_MODEL", a}, {"LLMRUN_MODEL", b}}), b);
  EXPECT_EQ(label({"-m", c}, {{"LLAMA_ARG_MODEL", a}, {"LLMRUN_MODEL", b}}), c);
  EXPECT_THAT(label({}, {}), testing::EndsWith("llm-run-tiny-q8_0.gguf"));
}

// --- inspect ---

TEST(CliInspect, JsonSaysWhatTheFileHolds) {
  const std::string path =
      WriteModel("inspect.gguf", BuildTinyLlama({.n_layers = 3, .dtype = DType::kQ8_0}));
  const Json json = JsonOf({"inspect", "-m", path});
  EXPECT_EQ(json["metadata"]["general.architecture"]["value"], "llama");
  EXPECT_EQ(json["metadata"]["llama.block_count"]["value"], 3);
  EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"]["count"], 320);
  EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"]["element_type"], "string");
  uint64_t parameters = 0;
  uint64_t bytes = 0;
  for (const Json& tensor : json["tensors"]) {
    uint64_t count = 1;
    for (const uint64_t dim : tensor["dims"]) count *= dim;
    parameters += count;
    bytes += tensor["bytes"].get<uint64_t>();
  }
  EXPECT_EQ(json["tensor_count"], json["tensors"].size());
  EXPECT_EQ(json["parameters"], parameters);
  EXPECT_EQ(json["tensor_bytes"], bytes);
  EXPECT_DOUBLE_EQ(json["bits_per_weight"].get<double>(),
                   8.0 * static_cast<double>(bytes) / static_cast<double>(parameters));
  EXPECT_FALSE(JsonOf({"inspect", "-m", path, "--no-tensors"}).contains("tensors"));
  EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"]["first"].size(), 8);
  const Json whole = JsonOf({"inspect", "-m", path, "--all"});
  EXPECT_EQ(whole["metadata"]["tokenizer.ggml.tokens"]["values"].size(), 320);
}

TEST(CliInspect, ShowsEveryPartOfASplitModel) {
  for (uint16_t part = 0; part < 2; ++part) {
    GgufWriter writer;
    writer.AddString("general.architecture", "llama");
    writer.Add("split.no", MetaType::kUint16, part);
    writer.Add("split.count", MetaType::kUint16, uint16_t{2});
    writer.Add("split.tensors.count", MetaType::kInt32, int32_t{2});
    ASSERT_TRUE(writer.AddTensor(fmt::format("part{}.weight", part), DType::kF32, {8}));
    std::vector<std::byte> bytes = writer.Header();
    bytes.resize(bytes.size() + writer.DataBytes());
    WriteModel(fmt::format("split-0000{}-of-00002.gguf", part + 1), bytes);
  }
  const Json json = JsonOf({"inspect", "-m", TempPath("split-00002-of-00002.gguf")});
  EXPECT_EQ(json["files"].size(), 2U);
  EXPECT_EQ(json["tensors"][1]["name"], "part1.weight");
  EXPECT_EQ(json["tensors"][1]["file"], 1);
}

TEST(CliInspect, NothingFromTheFileReachesTheTerminalUnescaped) {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddString("general.name", "\x1b[31mred\x07\xff\n");
  const std::string path = WriteModel("escape.gguf", writer.Header());
  const ProcessResult text = Llm({"inspect", "-m", path});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("\\x1b[31mred\\x07\\xff\\n"));
  EXPECT_THAT(text.out, Not(HasSubstr("\x1b")));
  EXPECT_EQ(JsonOf({"inspect", "-m", path})["metadata"]["general.name"]["value"],
            "\x1b[31mred\x07\uFFFD\n");
}

// --- tokenize ---

// A vocabulary of <unk>, <s>, </s>, the 256 bytes, and "a", "b", "ab".
std::string VocabularyOnly() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(fmt::format("<0x{:02X}>", byte));
  types.resize(tokens.size(), static_cast<int32_t>(TokenType::kByte));
  for (const char* piece : {"a", "b", "ab"}) tokens.push_back(piece);
  types.resize(tokens.size(), static_cast<int32_t>(TokenType::kNormal));
  std::vector<float> scores(tokens.size(), 0.0F);
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  writer.AddString("tokenizer.ggml.model", "llama");
  writer.Add("tokenizer.ggml.tokens", MetaType::kArray, MetaArray{MetaType::kString, tokens});
  writer.Add("tokenizer.ggml.scores", MetaType::kArray, MetaArray{MetaType::kFloat32, scores});
  writer.Add("tokenizer.ggml.token_type", MetaType::kArray, MetaArray{MetaType::kInt32, types});
  writer.AddUint32("tokenizer.ggml.bos_token_id", 1);
  writer.AddUint32("tokenizer.ggml.eos_token_id", 2);
  writer.AddBool("tokenizer.ggml.add_space_prefix", false);
  return WriteModel("vocabulary.gguf", writer.Header());
}

TEST(CliTokenize, IdsOfExactBytes) {
  const std::string path = VocabularyOnly();
  const auto ids = [&](const std::string& text) {
    return Llm({"tokenize", "-m", path, "-p", text}).out;
  };
  EXPECT_EQ(ids("ab"), "261\n");
  EXPECT_EQ(ids("ba"), "260 259\n");
  EXPECT_EQ(ids(""), "\n");
  EXPECT_EQ(ids("\n"), "13\n");
  EXPECT_EQ(ids("\xff\xfe"), "258 257\n");
  // What option parsers like to take for their own.
  EXPECT_EQ(ids("-tb"), "48 119 260\n");
  EXPECT_EQ(ids("--"), "48 48\n");
  EXPECT_EQ(ids("{}"), "126 128\n");
  EXPECT_EQ(ids("[b]"), "94 260 96\n");
  EXPECT_EQ(Llm({"tokenize", "-m", path, "--prompt="}).out, "\n");
  EXPECT_EQ(Llm({"tokenize", "-m", path, "--prompt=a=b"}).out, "259 64 260\n");
}

TEST(CliTokenize, FilesAndStandardInput) {
  const std::string path = VocabularyOnly();
  const std::string text("a\0b\r\n", 5);
  const std::string file = TempPath("text.bin");
  std::ofstream(file, std::ios::binary) << text;
  EXPECT_EQ(Llm({"tokenize", "-m", path, "-f", file}).out, "259 3 260 16 13\n");
  ProcessOptions from_stdin;
  from_stdin.args = {kBinary, "tokenize", "-m", path, "-f", "-"};
  from_stdin.input = text;
  EXPECT_EQ(RunProcess(from_stdin).out, "259 3 260 16 13\n");
  ExpectError(Llm({"tokenize", "-m", path, "-f", TempPath("no.txt")}), 66, "no.txt");
}

TEST(CliTokenize, SpecialAddsAndReadsSpecialTokens) {
  const std::string path = VocabularyOnly();
  EXPECT_EQ(Llm({"tokenize", "-m", path, "--special", "-p", "a</s>"}).out, "1 259 2\n");
  EXPECT_EQ(Llm({"tokenize", "-m", path, "-p", "a<"}).out, "259 63\n");
  const Json json = JsonOf({"tokenize", "-m", path, "-p", "abb"});
  EXPECT_THAT(json["ids"], ElementsAre(261, 260));
  EXPECT_THAT(json["pieces"], ElementsAre("ab", "b"));
}

// --- verify ---

TEST(CliVerify, SameHashForEveryLoaderAndPageSize) {
  const std::string hash = JsonOf({"verify", "-m", kTinyModel})["xxh3"];
  EXPECT_EQ(hash.size(), 16U);
  for (const char* loader : {"mmap", "read", "io_uring", "splice"}) {
    const Json json = JsonOf({"verify", "-m", kTinyModel, "--loader", loader, "--hugepages=thp"});
    EXPECT_EQ(json["xxh3"], hash) << loader;
    EXPECT_EQ(json["load"]["requested"], loader);
    EXPECT_EQ(json["load"]["read_bytes"], 5094400) << loader;
  }
}

TEST(CliVerify, NamesTheValueThatIsNotFinite) {
  std::vector<std::byte> bytes = BuildTinyLlama({.dtype = DType::kF32});
  const Result<GgufFile> file = ParseBytes(bytes);
  ASSERT_TRUE(file);
  for (const TensorInfo& tensor : file->tensors) {
    if (tensor.name != "blk.1.ffn_up.weight") continue;
    const float values[] = {std::numeric_limits<float>::quiet_NaN(),
                            -std::numeric_limits<float>::infinity()};
    std::memcpy(bytes.data() + tensor.file_offset + (3 * tensor.dims[0] + 17) * 4, values, 8);
  }
  const std::string path = WriteModel("nan.gguf", bytes);
  const ProcessResult result = Llm({"verify", "-m", path, "--json"});
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_THAT(result.err, HasSubstr("'blk.1.ffn_up.weight': row 3 element 17 is nan, and 1 more"));
  const Json json = Json::parse(result.out, nullptr, false);
  EXPECT_EQ(json["ok"], false);
  for (const Json& tensor : json["tensors"]) {
    const bool bad = tensor["name"] == "blk.1.ffn_up.weight";
    EXPECT_EQ(tensor["not_finite"], bad ? 2 : 0) << tensor;
  }
}

TEST(CliVerify, AChangedByteChangesOneHashAndTheTotal) {
  std::vector<std::byte> bytes = BuildTinyLlama({.dtype = DType::kQ8_0});
  const Result<GgufFile> file = ParseBytes(bytes);
  ASSERT_TRUE(file);
  const Json before = JsonOf({"verify", "-m", WriteModel("before.gguf", bytes)});
  const TensorInfo& last = file->tensors.back();
  bytes[last.file_offset + last.bytes - 1] ^= std::byte{1};
  const Json after = JsonOf({"verify", "-m", WriteModel("after.gguf", bytes)});
  EXPECT_NE(before["xxh3"], after["xxh3"]);
  for (size_t i = 0; i < file->tensors.size(); ++i) {
    const bool same = before["tensors"][i]["xxh3"] == after["tensors"][i]["xxh3"];
    EXPECT_EQ(same, after["tensors"][i]["name"] != last.name);
  }
}

TEST(CliVerify, TypesWithoutDecoderAreHashedAndSaidSo) {
  GgufWriter writer;
  writer.AddString("general.architecture", "llama");
  ASSERT_TRUE(writer.AddTensor("x", DType::kIQ2_XXS, {256, 4}));
  std::vector<std::byte> bytes = writer.Header();
  bytes.resize(bytes.size() + writer.DataBytes(), std::byte{0xff});
  const ProcessResult result = Llm({"verify", "-m", WriteModel("iq2.gguf", bytes)});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("values not looked at"));
}

// --- plan ---

TEST(CliPlan, JsonAddsUp) {
  const Json json = JsonOf({"plan", "-m", kTinyModel, "--loader=io_uring", "--hugepages=2M",
                            "--io-chunk=1M", "--reads"});
  EXPECT_EQ(json["loader"], "io_uring");
  EXPECT_EQ(json["mapped"], false);
  ASSERT_EQ(json["arenas"].size(), 1U);
  uint64_t tile_bytes = 0;
  for (const Json& tile : json["arenas"][0]["tiles"]) tile_bytes += tile["bytes"].get<uint64_t>();
  EXPECT_EQ(json["arenas"][0]["bytes"], tile_bytes);
  EXPECT_GE(tile_bytes, json["tensor_bytes"].get<uint64_t>());
  EXPECT_EQ(json["reads"]["count"], json["reads"]["list"].size());
  uint64_t read_bytes = 0;
  for (const Json& read : json["reads"]["list"]) {
    read_bytes += read["bytes"].get<uint64_t>();
    EXPECT_LE(read["bytes"], 1 << 20);
  }
  EXPECT_GE(read_bytes, json["tensor_bytes"].get<uint64_t>());
  uint64_t group_bytes = 0;
  for (const Json& group : json["groups"]) group_bytes += group["bytes"].get<uint64_t>();
  EXPECT_EQ(json["groups"].size(), 7U);  // 5 layers, before and after
  EXPECT_EQ(json["tensor_bytes"], group_bytes);
}

TEST(CliPlan, ForAMachineThatIsOnlyDescribed) {
  const std::vector<std::string> base = {"plan",      "-m",
                                         kTinyModel,  "--loader=read",
                                         "--machine", "pack:2 [numa(memory=8GB)] core:2 pu:1"};
  std::vector<std::string> bound = base;
  bound.insert(bound.end(), {"--numa=bind:1", "--hugepages=2M", "--hugepages-policy=require"});
  const Json json = JsonOf(bound);
  EXPECT_EQ(json["arenas"][0]["nodes"], Json({1}));
  EXPECT_EQ(json["arenas"][0]["tiles"].size(), 1U);
  EXPECT_EQ(json["arenas"][0]["tiles"][0]["page"], "2M");
  EXPECT_EQ(json["arenas"][0]["tiles"][0]["count"], 3);
  std::vector<std::string> absent = base;
  absent.push_back("--numa=bind:2");
  ExpectError(Llm(absent), 64, "bind:2");
  ExpectError(Llm({"plan", "-m", kTinyModel, "--machine", "nonsense"}), 64, "nonsense");
  ExpectError(Llm({"plan", "-m", kTinyModel, "--machine", "/nonexistent/m.xml"}), 66,
              "/nonexistent/m.xml");
  const ProcessResult recorded =
      Llm({"plan", "-m", kTinyModel, "--machine",
           LLMRUN_SOURCE_DIR "/tests/data/machines/hbm_cxl.xml", "--hugepages=1G"});
  EXPECT_EQ(recorded.exit_code, 0) << recorded.err;
  EXPECT_THAT(recorded.out, testing::HasSubstr("5 nodes, 16 CPUs"));
  EXPECT_THAT(recorded.out, testing::HasSubstr("free pages 1G 40 2M 512"));
}

TEST(CliPlan, NamesOfLlamaCpp) {
  const auto loader = [](const std::string& flag) {
    return JsonOf({"plan", "-m", kTinyModel, flag})["loader"].get<std::string>();
  };
  EXPECT_EQ(loader("--no-mmap"), "read");
  EXPECT_EQ(loader("-dio"), "io_uring");
  EXPECT_EQ(loader("--load-mode=mmap+mlock"), "mmap");
  EXPECT_EQ(loader("--load-mode=dio"), "io_uring");
  EXPECT_EQ(JsonOf({"plan", "-m", kTinyModel, "-lm", "none"})["loader"], "read");
  EXPECT_EQ(JsonOf({"plan", "-m", kTinyModel}, {{"LLAMA_ARG_NO_MMAP", "1"}})["requested"], "read");
}

// --- the machine ---

TEST(CliNuma, WordsOfLlamaCpp) {
  const std::pair<const char*, const char*> words[] = {
      {"distribute", "shard"}, {"numactl", "off"}, {"auto", "off"}};
  for (const auto& [word, ours] : words) {
    const Json plan = JsonOf({"plan", "-m", kTinyModel, "--loader=read",
                              "--machine=pack:1 [numa(memory=1GB)] core:2 pu:1", "--numa", word});
    EXPECT_EQ(plan["numa"], ours) << word;
  }
  const Json plan = JsonOf({"plan", "-m", kTinyModel, "--numa=isolate"});
  EXPECT_EQ(plan["numa"].get<std::string>().substr(0, 5), "bind:");
}

TEST(CliDoctor, BandwidthIsMeasuredAndKept) {
  const std::string cache = TempPath("cache");
  const ProcessResult result =
      Llm({"doctor", "--bandwidth", "--json"}, {{"XDG_CACHE_HOME", cache}});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  ASSERT_GE(json["bandwidth"].size(), 1U);
  const Json& first = json["bandwidth"][0];
  EXPECT_EQ(first["read_bytes_per_s"].size(), json["bandwidth"].size());
  EXPECT_GT(first["read_bytes_per_s"][0].get<double>(), 1e8);
  std::stringstream saved;
  saved << std::ifstream(cache + "/llm-run/bandwidth.json").rdbuf();
  const Json kept = Json::parse(saved.str());
  EXPECT_EQ(kept["read_bytes_per_s"][0], first["read_bytes_per_s"]);
  EXPECT_TRUE(kept["machine"].contains("nodes"));
}

TEST(CliDoctor, JsonListsTheChecks) {
  const Json json = JsonOf({"doctor", "-m", kTinyModel});
  EXPECT_EQ(json["ok"], true);
  std::vector<std::string> names;
  for (const Json& check : json["checks"]) {
    names.push_back(check["name"]);
    EXPECT_NE(check["status"], "fail") << check;
    EXPECT_NE(check["found"], "") << check;
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"kernel", "cpu", "cpus", "memory", "numa", "memlock",
                                            "1G pages", "2M pages", "thp", "io_uring"}));
}

TEST(CliDoctor, FailsWhereNothingCanRun) {
  const ProcessResult result = Llm({"doctor", "-m", kTinyModel}, {{"LLM_RUN_ISA", "abacus"}});
  EXPECT_EQ(result.exit_code, 69);
  EXPECT_THAT(result.out, HasSubstr("fail"));
  EXPECT_THAT(result.err, HasSubstr("unset LLM_RUN_ISA"));
}

TEST(CliHugepages, PlanTakesWhatTheLoaderTakes) {
  for (const char* policy : {"try", "require"}) {
    const Json needs = JsonOf({"hugepages", "plan", "-m", kTinyModel, "--size=2M",
                               std::string("--hugepages-policy=") + policy});
    const Json plan = JsonOf({"plan", "-m", kTinyModel, "--loader=read", "--hugepages=2M",
                              std::string("--hugepages-policy=") + policy});
    ASSERT_EQ(needs["pools"].size(), 1U);
    EXPECT_EQ(needs["pools"][0]["pages"], plan["arenas"][0]["tiles"][0]["count"]) << policy;
    EXPECT_EQ(needs["arena_bytes"], plan["arenas"][0]["bytes"]);
    if (needs["pools"][0]["missing"] > 0) {
      EXPECT_THAT(needs["pools"][0]["command"].get<std::string>(),
                  HasSubstr("sudo llm-run hugepages reserve --size=2M --count="));
    }
  }
}

TEST(CliHugepages, StatusAndErrors) {
  EXPECT_TRUE(JsonOf({"hugepages", "status"})["pools"].is_array());
  ExpectError(Llm({"hugepages", "plan", "-m", kTinyModel, "--size=4M"}), 64, "--size=4M");
  ExpectError(Llm({"hugepages", "plan", "-m", kTinyModel, "--node=4095"}), 64, "4095");
  ExpectError(Llm({"hugepages", "plan", "-m", kTinyModel, "--numa=everywhere"}), 64, "everywhere");
  ExpectError(Llm({"hugepages", "plan", "-m", kTinyModel, "--node=0", "--numa=shard"}), 64,
              "fix: --numa=bind:0");
  ExpectError(Llm({"hugepages", "reserve", "--count=1"}), 64, "--size=");
  ExpectError(Llm({"hugepages", "reserve", "--size=2M", "--count=1", "--numa=shard"}), 64,
              "fix: --node=N");
  ExpectError(Llm({"hugepages", "release"}), 64, "--all");
}

TEST(CliHugepages, WithoutPrivilegeReserveSaysTheCommand) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may reserve";
  ExpectError(Llm({"hugepages", "reserve", "--size=2M", "--count=100000"}), 71,
              "sudo llm-run hugepages reserve --size=2M --count=100000");
}

}  // namespace
}  // namespace llmrun
