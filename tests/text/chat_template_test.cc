// Templates by name, the variables they see, and what becomes of their text.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/text/vocabularies.h"
#include "text/chat_template.h"

namespace llmrun {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<ChatMessage> kTalk = {
    {"system", "Be kind."}, {"user", "Hi "}, {"assistant", "Hello."}, {"user", "Bye"}};

ChatTemplateSpec Builtin(std::string_view name) {
  const BuiltinTemplate* builtin = FindBuiltinTemplate(name);
  EXPECT_NE(builtin, nullptr) << name;
  ChatTemplateSpec spec;
  spec.name = builtin->name;
  spec.source = builtin->source;
  spec.bos = "<s>";
  spec.eos = "</s>";
  return spec;
}

std::string Rendered(const ChatTemplateSpec& spec, bool add_generation_prompt = true) {
  const Result<ChatTemplate> made = ChatTemplate::Create(spec);
  if (!made) return made.error().OneLine();
  const Result<std::string> text = made->Render(kTalk, add_generation_prompt);
  return text ? *text : text.error().OneLine();
}

TEST(ChatTemplate, TheBuiltinOnesWriteTheMarkersOfTheirFamilies) {
  EXPECT_EQ(Rendered(Builtin("chatml")),
            "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi <|im_end|>\n"
            "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(Rendered(Builtin("llama2")),
            "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Bye [/INST]");
  EXPECT_EQ(Rendered(Builtin("llama3")),
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello.<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(Rendered(Builtin("mistral")),
            "<s>[INST] Be kind.\n\nHi [/INST] Hello.</s>[INST] Bye [/INST]");
  EXPECT_EQ(Rendered(Builtin("gemma")),
            "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n"
            "<start_of_turn>model\nHello.<end_of_turn>\n"
            "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n");
  EXPECT_EQ(Rendered(Builtin("phi3")),
            "<|system|>\nBe kind.<|end|>\n<|user|>\nHi <|end|>\n<|assistant|>\nHello.<|end|>\n"
            "<|user|>\nBye<|end|>\n<|assistant|>\n");
  EXPECT_EQ(Rendered(Builtin("zephyr")),
            "<|system|>\nBe kind.</s>\n<|user|>\nHi </s>\n<|assistant|>\nHello.</s>\n"
            "<|user|>\nBye</s>\n<|assistant|>\n");
  EXPECT_EQ(Rendered(Builtin("deepseek")),
            "<s>Be kind.\n\nUser: Hi \n\nAssistant: Hello.</s>User: Bye\n\nAssistant:");
  EXPECT_EQ(Rendered(Builtin("command-r")),
            "<s><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>Be kind.<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Hi<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>Hello.<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Bye<|END_OF_TURN_TOKEN|>"
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>");
  EXPECT_EQ(Rendered(Builtin("plain")),
            "Be kind.\n\nQuestion: Hi\nAnswer: Hello.\n\nQuestion: Bye\nAnswer:");
  EXPECT_EQ(FindBuiltinTemplate("nope"), nullptr);
}

TEST(ChatTemplate, VariablesOfTheUserReachTheTemplateAndWin) {
  ChatTemplateSpec spec;
  spec.name = "test";
  spec.source =
      "{{ messages | length }} {{ bos_token }} {{ eos_token }} {{ enable_thinking is defined }} "
      "{{ tools is defined }} {{ add_generation_prompt }} {{ strftime_now('%Y') }}";
  spec.bos = "<B>";
  spec.now.tm_year = 126;
  EXPECT_EQ(Rendered(spec, false), "4 <B>  False False False 2026");
  spec.kwargs = R"({"enable_thinking": false, "bos_token": "mine", "tools": [1]})";
  EXPECT_EQ(Rendered(spec), "4 mine  True True True 2026");
  for (const char* wrong : {"[1]", "{", "nope"}) {
    spec.kwargs = wrong;
    EXPECT_THAT(Rendered(spec), HasSubstr("expected a JSON object")) << wrong;
  }
}

constexpr char kTool[] =
    R"({"type": "function", "function": {"name": "now", "description": "d", "parameters": {}}})";

TEST(ChatTemplate, ToolsReachTheTemplate) {
  ChatTemplateSpec spec;
  spec.name = "test";
  spec.source = "{% for t in tools %}{{ t.function.name }} {{ t | tojson }};{% endfor %}";
  EXPECT_EQ(Rendered(spec), "");
  spec.tools = fmt::format(R"([{}, {{"type": "function", "function": {{"name": "g"}}}}])", kTool);
  EXPECT_EQ(Rendered(spec), fmt::format(R"(now {};g {{"type": "function", "function": )"
                                        R"({{"name": "g"}}}};)",
                                        kTool));
  spec.kwargs = R"({"tools": []})";
  EXPECT_THAT(Rendered(spec), HasSubstr("both --tools and tools in --chat-template-kwargs"));
}

TEST(ChatTemplate, ToolsThatAreNoneAreRefused) {
  ChatTemplateSpec spec;
  spec.name = "test";
  const auto expect = [&](const std::string& tools, const char* message) {
    spec.tools = tools;
    EXPECT_THAT(Rendered(spec), HasSubstr(message)) << tools;
    EXPECT_EQ(ChatTemplate::Create(spec).error().code, ErrorCode::kUsage);
  };
  for (const char* wrong : {"", "{}", "[", "[]", "5"}) {
    expect(wrong, "--tools: expected a JSON array of functions");
  }
  const auto behind_one = [](const char* tool) { return fmt::format("[{}, {}]", kTool, tool); };
  expect(behind_one("1"), "--tools: tool 2 of 2: it is no object");
  expect(behind_one(R"({"name": "f"})"), "tool 2 of 2: its type is not \"function\"");
  expect(behind_one(R"({"type": "function"})"), "it has no 'function'");
  expect(behind_one(R"({"type": "function", "function": {"name": 5}})"), "has no 'name'");
  expect(behind_one(R"({"type": "function", "function": {"name": "f", "description": 1}})"),
         "the description of its function is no text");
  expect(behind_one(R"({"type": "function", "function": {"name": "f", "parameters": []}})"),
         "the parameters of its function are no object");
}

TEST(ChatTemplate, DeepVariablesAreRefused) {
  ChatTemplateSpec spec;
  spec.name = "test";
  const std::string deep = std::string(3000, '[') + std::string(3000, ']');
  spec.kwargs = "{\"x\": " + deep + "}";
  EXPECT_THAT(Rendered(spec), HasSubstr("JSON nested more than 200 deep"));
  spec.kwargs = "";
  spec.tools = fmt::format(
      R"([{{"type": "function", "function": {{"name": "f", "parameters": {{"x": {}}}}}}}])", deep);
  EXPECT_THAT(Rendered(spec), HasSubstr("JSON nested more than 200 deep"));
}

TEST(ChatTemplate, ErrorsNameTheTemplate) {
  ChatTemplateSpec spec;
  spec.name = "of the model";
  spec.source = "{% if %}";
  EXPECT_THAT(Rendered(spec), HasSubstr("chat template 'of the model': 1:7: expected an "));
  spec.source = "{{ raise_exception('no ' ~ messages[0].role) }}";
  EXPECT_THAT(Rendered(spec), HasSubstr("the template refuses: no system; fix: --chat-template"));
}

TEST(ChatTemplate, BosStandsInFrontOnce) {
  TokenizerSpec spec = SentencePieceSpec({{"a", -1}});
  spec.bos = 1;
  spec.eos = 2;
  spec.add_bos = true;
  spec.add_eos = true;
  spec.add_space_prefix = false;
  const auto adds = Tokenizer::Create(spec).value();
  EXPECT_THAT(EncodeRendered(*adds, "a"), ElementsAre(1, kFirstPiece));
  EXPECT_THAT(EncodeRendered(*adds, "<s>a"), ElementsAre(1, kFirstPiece));
  EXPECT_THAT(EncodeRendered(*adds, ""), ElementsAre(1));
  spec.add_bos = false;
  const auto does_not = Tokenizer::Create(spec).value();
  EXPECT_THAT(EncodeRendered(*does_not, "a"), ElementsAre(kFirstPiece));
  EXPECT_THAT(EncodeRendered(*does_not, "<s>a"), ElementsAre(1, kFirstPiece));
}

}  // namespace
}  // namespace llmrun
