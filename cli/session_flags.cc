#include "cli/session_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/common_options.h"

namespace llmrun {
namespace {

constexpr const char* kKvTypeNames = "f32, f16, bf16, q8_0 or q4_0";

Result<DType> ParseKvType(const std::string& name) {
  const auto type = ParseDType(name);
  if (!type) {
    return MakeFixableError(ErrorCode::kUsage, kKvTypeNames, "'{}' is not a type of KV cache",
                            name);
  }
  if (!IsKvType(*type)) {
    return MakeFixableError(ErrorCode::kUnavailable, kKvTypeNames,
                            "there is no KV cache of type {}", name);
  }
  return *type;
}

Result<KernelTuning::Mode> ParseKernels(const std::string& name) {
  if (name == "auto") return KernelTuning::Mode::kMeasure;
  if (name == "multiply") return KernelTuning::Mode::kMultiply;
  if (name == "lookup") return KernelTuning::Mode::kLookUp;
  return MakeFixableError(ErrorCode::kUsage, "auto, multiply or lookup",
                          "--kernels={}: there are no such kernels", name);
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
  command.add_option("--cache-type-k", flags.kv_type,
                     fmt::format("type of the KV cache (-ctk): {}", kKvTypeNames));
  command.add_option("--cache-type-v", flags.kv_type_v, "the same for V (-ctv); as K when absent");
  FromEnvironment(command.add_option(
                      "--kernels", flags.kernels,
                      "single tokens and weights of two bits: multiply, lookup (tables of sums),\n"
                      "auto (the faster one, measured once; default)"),
                  {"LLMRUN_KERNELS"});
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
  ASSIGN_OR_RETURN(options.kernels.mode, ParseKernels(flags.kernels));
  ASSIGN_OR_RETURN(options.kv_type, ParseKvType(flags.kv_type));
  if (!flags.kv_type_v.empty()) {
    ASSIGN_OR_RETURN(options.v_type, ParseKvType(flags.kv_type_v));
  }
  return options;
}

}  // namespace llmrun
