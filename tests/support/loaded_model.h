// A model file opened, being loaded, and ready for sessions: what the tests of model/ begin with.
// Threads: Single-thread. Failure: errors of opening, reading the config and starting the load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loader/load_options.h"
#include "loader/weights.h"
#include "loader/weights_internal.h"
#include "model/model_config.h"
#include "model/session.h"
#include "sched/thread_pool.h"
#include "tests/support/gguf_builder.h"

namespace llmrun {

struct ModelStart {
  LoadOptions load = {.loader = LoaderKind::kRead, .hugepages = HugePages::kOff};
  bool pack = true;                          // as llm-run does
  std::function<void(GgufFile&)> edit = {};  // may change the parsed header
  BackendFactory backend = CreateBackend;
  const Machine* machine = nullptr;  // null: this one
};

struct LoadedModel {
  TensorIndex index;
  ModelConfig config;
  std::unique_ptr<Weights> weights;

  static Result<std::unique_ptr<LoadedModel>> Start(const std::string& path,
                                                    const ModelStart& start = {});
  Result<std::unique_ptr<Session>> NewSession(ThreadPool& pool,
                                              const SessionOptions& options) const;
};

// A file that is deleted with it.
class TempFile {
 public:
  explicit TempFile(std::span<const std::byte> bytes);
  ~TempFile();
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// BOS, then any tokens of the vocabulary of BuildTinyLlama().
std::vector<TokenId> TokensFrom(uint32_t seed, size_t count, uint32_t n_vocab = 320);

// A pool of unpinned threads that sleep at once: kind to a busy test machine.
std::unique_ptr<ThreadPool> MakeTestPool(int threads);

// Every level this processor has, portable first.
std::vector<IsaLevel> SupportedIsaLevels();

}  // namespace llmrun
