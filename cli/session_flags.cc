#include "cli/session_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/common_options.h"

namespace llmrun {
namespace {

Result<DType> ParseKvType(const std::string& name) {
  if (name == "f16") return DType::kF16;
  if (name == "f32") return DType::kF32;
  if (ParseDType(name)) {
    return MakeFixableError(ErrorCode::kUnavailable, "-ctk f16 -ctv f16",
                            "a KV cache of type {} is not there yet; f16 and f32 are", name);
  }
  return MakeFixableError(ErrorCode::kUsage, "f16 or f32", "'{}' is not a type of KV cache", name);
}

}  // namespace

void AddSessionFlags(CLI::App& command, SessionFlags& flags) {
  FromEnvironment(command.add_option("-c,--ctx-size", flags.ctx_size,
                                     "tokens the context holds (0: the model's own, at most 4096)"),
                  {"LLMRUN_CTX_SIZE", "LLAMA_ARG_CTX_SIZE"});
  FromEnvironment(
      command.add_option("-b,--batch-size", flags.batch_size, "prompt tokens computed together"),
      {"LLMRUN_BATCH", "LLAMA_ARG_BATCH"});
  command.add_option("--ubatch-size", flags.ubatch_size, "the same (-ub); the smaller one counts");
  command.add_option("--cache-type-k", flags.kv_type, "type of the KV cache (-ctk): f16, f32");
  command.add_option("--cache-type-v", flags.kv_type_v, "the same for V (-ctv); as K when absent");
}

Result<SessionOptions> MakeSessionOptions(const SessionFlags& flags) {
  if (flags.ctx_size < 0 || flags.batch_size < 1 || flags.ubatch_size < 0) {
    return MakeError(ErrorCode::kUsage, "-c {} -b {} -ub {}: sizes must be positive",
                     flags.ctx_size, flags.batch_size, flags.ubatch_size);
  }
  SessionOptions options;
  options.n_ctx = flags.ctx_size;
  options.n_batch = flags.batch_size;
  if (flags.ubatch_size > 0) options.n_batch = std::min(options.n_batch, flags.ubatch_size);
  ASSIGN_OR_RETURN(options.kv_type, ParseKvType(flags.kv_type));
  if (!flags.kv_type_v.empty()) {
    ASSIGN_OR_RETURN(const DType v_type, ParseKvType(flags.kv_type_v));
    if (v_type != options.kv_type) {
      return MakeFixableError(ErrorCode::kUnavailable, "the same -ctk and -ctv",
                              "K of type {} beside V of type {} is not there yet", flags.kv_type,
                              flags.kv_type_v);
    }
  }
  return options;
}

}  // namespace llmrun
