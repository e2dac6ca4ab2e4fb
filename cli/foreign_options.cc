#include "cli/foreign_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace llmrun {
namespace {

enum class Value : uint8_t {
  kNone,
  kOne,     // the next argument, whatever it is
  kSwitch,  // the next argument if it is on, off, auto, 1 or 0; on without it
};

struct ForeignOption {
  std::string_view names;  // with a space behind each
  Value value;
  // Of the note when it asks for something else than is done; of a refusal only why and fix.
  std::string_view got;
  std::string_view why;
  std::string_view fix;
  bool refused = false;
};

constexpr std::string_view kCpu = "every layer on the CPU";
constexpr std::string_view kNoGpu = "llm-run uses no GPU";
constexpr ForeignOption kOptions[] = {
    {"-ngl --gpu-layers --n-gpu-layers ", Value::kOne, kCpu, kNoGpu, ""},
    {"-ngld --gpu-layers-draft --n-gpu-layers-draft ", Value::kOne, kCpu, kNoGpu, ""},
    {"-mg --main-gpu -sm --split-mode -ts --tensor-split ", Value::kOne, kCpu, kNoGpu, ""},
    {"-dev --device -ot --override-tensor ", Value::kOne, kCpu, kNoGpu, ""},
    {"-nkvo --no-kv-offload -cmoe --cpu-moe ", Value::kNone, "", "", ""},
    {"-fa --flash-attn ", Value::kSwitch, "attention in tiles, with a running softmax",
     "llm-run has no other", ""},
    {"-rtr --run-time-repack ", Value::kSwitch, "rows in the order of the kernels",
     "it is made while weights are loaded", "--repack=off"},
    {"--jinja --no-warmup --simple-io --no-perf ", Value::kNone, "", "", ""},
    {"--cpu-strict ", Value::kSwitch, "", "", ""},
    {"-hf -hfr --hf-repo -hff --hf-file -mu --model-url ", Value::kOne, "",
     "llm-run downloads nothing", "fetch the GGUF file, then -m FILE", true},
    {"-C --cpu-mask ", Value::kOne, "", "CPUs are named by --pin", "--pin=0-3,8", true},
};
// Each is what one command does anyway, and not what the others do.
constexpr ForeignOption kTalk = {"-cnv --conversation -i --interactive -if --interactive-first ",
                                 Value::kNone,
                                 "",
                                 "conversations are a command of their own",
                                 "llm-run chat",
                                 true};
constexpr ForeignOption kNoTalk = {"-no-cnv --no-conversation ", Value::kNone,  "",
                                   "chat is a conversation",     "llm-run run", true};

bool IsOff(std::string_view value) { return value == "off" || value == "0"; }
bool IsSwitch(std::string_view value) {
  return IsOff(value) || value == "on" || value == "1" || value == "auto";
}

bool Names(const ForeignOption& option, std::string_view name) {
  const size_t at = option.names.find(fmt::format("{} ", name));
  return at != std::string_view::npos && (at == 0 || option.names[at - 1] == ' ');
}

// The option of that name, in `*met` whether `command` does what it asks for anyway.
const ForeignOption* Find(std::string_view name, const std::string& command, bool* met) {
  *met = true;
  const bool chats = command == "chat";
  if (Names(chats ? kTalk : kNoTalk, name)) return chats ? &kTalk : &kNoTalk;
  *met = false;
  if (Names(chats ? kNoTalk : kTalk, name)) return chats ? &kNoTalk : &kTalk;
  const auto* found = std::ranges::find_if(kOptions, [&](const auto& o) { return Names(o, name); });
  return found == std::end(kOptions) ? nullptr : found;
}

}  // namespace

Result<bool> DropForeignOption(const std::string& command, size_t at,
                               std::vector<std::string>* args, std::vector<Fallback>* notes) {
  const std::string& arg = (*args)[at];
  const size_t equals = arg.starts_with("--") ? arg.find('=') : std::string::npos;
  bool met = false;
  const ForeignOption* option = Find(std::string_view(arg).substr(0, equals), command, &met);
  if (option == nullptr) return false;
  if (!met && option->refused) {
    return MakeFixableError(ErrorCode::kUsage, std::string(option->fix), "{}: {}", arg,
                            option->why);
  }
  const bool last = at + 1 == args->size();
  const std::string next = last ? "" : (*args)[at + 1];
  const bool separate =
      !last && equals == std::string::npos &&
      (option->value == Value::kOne || (option->value == Value::kSwitch && IsSwitch(next)));
  const std::string value = separate                      ? next
                            : equals == std::string::npos ? ""
                                                          : arg.substr(equals + 1);
  // "-ngl 0" and "-fa on" ask for what is done anyway; "-ngl 99" and "-fa off" do not.
  if (!option->got.empty() && IsOff(value) == (option->value == Value::kSwitch)) {
    notes->push_back({separate ? fmt::format("{} {}", arg, value) : arg, std::string(option->got),
                      std::string(option->why), std::string(option->fix)});
  }
  const auto first = args->begin() + static_cast<std::ptrdiff_t>(at);
  args->erase(first, first + (separate ? 2 : 1));
  return true;
}

}  // namespace llmrun
