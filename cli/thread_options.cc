#include "cli/thread_options.h"

#include <CLI/CLI.hpp>

#include "cli/common_options.h"
#include "sched/core_lease.h"
#include "sched/thread_pool.h"

namespace llmrun {

void AddThreadsOption(CLI::App& command, int& threads) {
  CLI::Option* option =
      command.add_option("-t,--threads", threads, "threads (default: one a core)");
  option->type_name("N")->check(PlainRange(1, ThreadPool::kMaxThreads));
  FromEnvironment(option, {"LLMRUN_THREADS", "LLAMA_ARG_THREADS"});
}

void AddPlacementFlags(CLI::App& command, ThreadFlags& flags) {
  CLI::Option* pin =
      command.add_option("--pin", flags.pin,
                         "where threads run: cores (SMT siblings last), threads (siblings\n"
                         "side by side), none, or CPUs like 0-3,8 (default: cores)");
  pin->type_name("WHERE")->group(kGroupThreads);
  FromEnvironment(pin, {"LLMRUN_PIN"});
  CLI::Option* sched = command.add_option(
      "--sched", flags.sched, "policy of the threads: other, batch, idle, fifo:N, rr:N (1 to 99)");
  sched->type_name("POLICY")->group(kGroupThreads);
  FromEnvironment(sched, {"LLMRUN_SCHED"});
  CLI::Option* share =
      command.add_flag("--share-cores", flags.share_cores,
                       "divide the cores with other llm-run processes that say the same");
  share->group(kGroupThreads);
  FromEnvironment(share, {"LLMRUN_SHARE_CORES"});
}

void AddThreadFlags(CLI::App& command, ThreadFlags& flags) {
  AddThreadsOption(command, flags.threads);
  CLI::Option* batch = command.add_option("--threads-batch", flags.threads_batch,
                                          "threads for prompts (default: as -t; also -tb)");
  batch->type_name("N")->check(PlainRange(1, ThreadPool::kMaxThreads));
  FromEnvironment(batch, {"LLMRUN_THREADS_BATCH", "LLAMA_ARG_THREADS_BATCH"});
  AddPlacementFlags(command, flags);
}

Result<WorkerOptions> MakeWorkerOptions(const ThreadFlags& flags) {
  WorkerOptions options{.threads = flags.threads, .threads_batch = flags.threads_batch};
  ASSIGN_OR_RETURN(options.pin, ParsePin(flags.pin));
  if (!flags.sched.empty()) {
    ASSIGN_OR_RETURN(options.policy, ParseSchedPolicy(flags.sched));
  }
  if (!flags.share_cores) return options;
  if (options.pin.kind == PinMode::Kind::kNone) {
    return MakeFixableError(ErrorCode::kUsage, "--pin=cores",
                            "--share-cores with --pin=none: cores can only be shared by threads "
                            "that are pinned to them");
  }
  options.lease_path = CoreLease::DefaultPath();
  return options;
}

}  // namespace llmrun
