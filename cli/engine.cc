#include "cli/engine.h"

#include <algorithm>
#include <cstdlib>

#include "cli/model_source.h"
#include "cli/node_bandwidth.h"
#include "cli/output.h"
#include "cli/tensor_check.h"
#include "model/tokenizer_spec.h"

namespace llmrun {

Result<IsaLevel> WantedIsa() {
  const char* wish = std::getenv("LLM_RUN_ISA");
  return ChooseIsa(wish == nullptr ? "" : wish);
}

int Engine::DefaultThreads(const Machine& machine, const NodeSet& nodes) {
  const auto cores = static_cast<int>(CoreCount(machine, nodes));
  return std::clamp(cores, 1, std::max(1, machine.effective_cpus));
}

Result<std::unique_ptr<ThreadPool>> Engine::MakePool(const Machine& machine, const NodeSet& nodes,
                                                     int threads) {
  if (threads == 0) threads = DefaultThreads(machine, nodes);
  if (threads < 1 || threads > ThreadPool::kMaxThreads) {
    return MakeFixableError(ErrorCode::kUsage, "-t 1 or more, or leave it out",
                            "{} threads are outside 1..{}", threads, ThreadPool::kMaxThreads);
  }
  if (threads > machine.effective_cpus) {
    const Fallback capped{
        .wanted = fmt::format("{} threads", threads),
        .got = fmt::format("{}", machine.effective_cpus),
        .why =
            "there are no more CPUs for this process (its affinity, cpuset and quota counted), "
            "and threads that share one slow each other down",
        .fix = fmt::format("-t {} or less", machine.effective_cpus)};
    Note("note   {}", capped.OneLine());
    threads = machine.effective_cpus;
  }
  ThreadPoolOptions options;
  options.threads = threads;
  options.effective_cpus = machine.effective_cpus;
  options.pin_caller = true;
  for (const Cpu& cpu : CpusForThreads(machine, nodes, static_cast<size_t>(threads))) {
    options.cpus.push_back(cpu.os_index);
    options.nodes.push_back(cpu.node);
  }
  return ThreadPool::Create(options);
}

void Engine::NoteNodesWithoutThreads(const PlacementPlan& plan, const ThreadPool& pool) {
  if (plan.arenas.size() < 2) return;
  NodeSet without = plan.nodes;
  for (int i = 0; i < pool.size(); ++i) {
    if (pool.node(i)) std::erase(without, *pool.node(i));
  }
  if (without.empty()) return;
  const Fallback fallback{
      .wanted = fmt::format("threads on {}", NameOf(plan.nodes)),
      .got = fmt::format("none on {}", NameOf(without)),
      .why = fmt::format("{} thread{}, or not pinned", pool.size(), pool.size() == 1 ? "" : "s"),
      .fix = fmt::format("-t {} or more, up to one a CPU; or --numa=bind:{}", plan.nodes.size(),
                         plan.nodes.front())};
  Note("note   {}", fallback.OneLine());
}

namespace {

// kBadData for a tensor with NaN or infinities.
Status RefuseNotFinite(const TensorIndex& index, TensorId id, std::span<const TensorPiece> pieces) {
  ASSIGN_OR_RETURN(const TensorCheck check, CheckTensor(pieces));
  if (!check.first) return {};
  return MakeError(ErrorCode::kBadData, "{}: tensor '{}': {} values are not finite, first: {}",
                   index.files()[index.at(id).extent.file].label, index.at(id).name,
                   check.not_finite, DescribeNotFinite(*check.first));
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Start(const EngineOptions& options) {
  auto engine = std::make_unique<Engine>();
  ASSIGN_OR_RETURN(engine->isa, WantedIsa());
  ASSIGN_OR_RETURN(engine->machine, ThisMachine());
  ASSIGN_OR_RETURN(ModelSource source, OpenRunnableSource(options.model_path));
  engine->stream = std::move(source.stream);
  engine->index = std::make_unique<TensorIndex>(std::move(source.index));
  ASSIGN_OR_RETURN(engine->config, ReadModelConfig(*engine->index));
  engine->since_load = Stopwatch();
  LoadOptions load = options.load;
  load.stream = engine->stream.get();
  if (options.check_tensors) {
    load.on_tensor = [&model = *engine->index](TensorId id, std::span<const TensorPiece> pieces) {
      return RefuseNotFinite(model, id, pieces);
    };
  }
  ASSIGN_OR_RETURN(engine->weights, StartLoad(*engine->index, engine->machine, load));
  ASSIGN_OR_RETURN(TokenizerSpec spec, TokenizerSpecFromMetadata(engine->index->metadata()));
  ASSIGN_OR_RETURN(engine->tokenizer, Tokenizer::Create(std::move(spec)));
  ASSIGN_OR_RETURN(engine->pool,
                   MakePool(engine->machine, engine->weights->plan().nodes, options.threads));
  NoteNodesWithoutThreads(engine->weights->plan(), *engine->pool);
  return engine;
}

Result<std::unique_ptr<Session>> Engine::NewSession(SessionOptions options) {
  options.isa = isa;
  return Session::Create(config, *weights, *pool, options);
}

}  // namespace llmrun
