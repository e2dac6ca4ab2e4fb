#include "cli/engine.h"

#include <cstdlib>

#include "cli/kernel_cache.h"
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
  if (options.beside != nullptr) {
    engine->workers = options.beside->workers;
  } else {
    ASSIGN_OR_RETURN(engine->workers,
                     MakeWorkers(engine->machine, engine->weights->plan().nodes, options.workers));
  }
  NoteNodesWithoutThreads(engine->weights->plan(), *engine->workers.pool);
  return engine;
}

Result<std::unique_ptr<Session>> Engine::NewSession(SessionOptions options) {
  options.isa = isa;
  UseKernelCache(machine, &options.kernels);
  const auto use_of = [](int64_t n_tokens) {
    return n_tokens > 1 ? TeamUse::kPrompt : TeamUse::kDecode;
  };
  options.before_batch = [keeper = workers.keeper.get(), use_of](int64_t n_tokens) {
    keeper->Prepare(use_of(n_tokens));
  };
  options.after_batch = [keeper = workers.keeper.get(), use_of](int64_t n_tokens, double seconds) {
    keeper->Computed(use_of(n_tokens), seconds);
  };
  return Session::Create(config, *weights, *workers.pool, options);
}

}  // namespace llmrun
