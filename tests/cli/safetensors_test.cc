// A safetensors file on the command line: looked at, verified, planned and loaded, but not run.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/llm.h"
#include "tests/support/safetensors_bytes.h"

namespace llmrun {
namespace {

using testing::HasSubstr;

// A matrix of F32 (zeros but for its first value), a BOOL, and an empty tensor.
std::string WriteSafetensors(const std::string& name, float first) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"w":)" +
                             SafetensorsEntry("F32", "[2,3]", 0, 24) + R"(,"flag":)" +
                             SafetensorsEntry("BOOL", "[]", 24, 25) + R"(,"none":)" +
                             SafetensorsEntry("F16", "[0,1099511627776]", 25, 25) + "}";
  std::vector<std::byte> bytes = SafetensorsBytes(header, 25);
  std::fill(bytes.end() - 25, bytes.end(), std::byte{0});
  std::memcpy(bytes.data() + bytes.size() - 25, &first, sizeof first);
  return WriteModel(name, bytes);
}

nlohmann::json ParseOut(const ProcessResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  nlohmann::json json = nlohmann::json::parse(result.out, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << result.out;
  return json;
}

TEST(CliSafetensors, IsInspected) {
  const std::string path = WriteSafetensors("in.safetensors", 1);
  const ProcessResult text = Llm({"inspect", "-m", path});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("safetensors, "));
  const nlohmann::json json = ParseOut(Llm({"inspect", "-m", path, "--json"}));
  EXPECT_EQ(json["files"][0]["format"], "safetensors");
  EXPECT_EQ(json["metadata"]["format"]["value"], "pt");
  ASSERT_EQ(json["tensors"].size(), 3U);
  EXPECT_EQ(json["tensors"][0]["dims"], (std::vector{3, 2}));
  EXPECT_EQ(json["tensors"][1]["type"], "BOOL");
  EXPECT_EQ(json["tensors"][1]["dims"], nlohmann::json::array());
  EXPECT_EQ(json["tensors"][2]["bytes"], 0);
}

TEST(CliSafetensors, IsVerified) {
  const nlohmann::json good =
      ParseOut(Llm({"verify", "-m", WriteSafetensors("ok.safetensors", 1), "--json"}));
  EXPECT_EQ(good["ok"], true);
  EXPECT_EQ(good["tensors"][0]["values_checked"], true);
  EXPECT_EQ(good["tensors"][1]["values_checked"], false);
  const ProcessResult bad = Llm({"verify", "-m", WriteSafetensors("nan.safetensors", NAN)});
  EXPECT_EQ(bad.exit_code, 65);
  EXPECT_THAT(bad.err, HasSubstr("tensor 'w'"));
}

TEST(CliSafetensors, IsPlannedAndLoaded) {
  const std::string path = WriteSafetensors("load.safetensors", 1);
  EXPECT_EQ(Llm({"plan", "-m", path}).exit_code, 0);
  const nlohmann::json rows =
      ParseOut(Llm({"bench-load", "-m", path, "-r", "1", "-o", "json", "--cache", "warm"}));
  ASSERT_EQ(rows["rows"].size(), 4U);
  for (const nlohmann::json& row : rows["rows"]) EXPECT_EQ(row["xxh3"], rows["rows"][0]["xxh3"]);
}

TEST(CliSafetensors, IsNotRun) {
  const std::string path = WriteSafetensors("run.safetensors", 1);
  ExpectError(Llm({"-m", path, "-p", "x"}), 69, "a safetensors file");
  ExpectError(Llm({"tokenize", "-m", path, "-p", "x"}), 69, "convert");
}

}  // namespace
}  // namespace llmrun
