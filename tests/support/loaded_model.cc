#include "tests/support/loaded_model.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/check.h"
#include "loader/io/file_byte_source.h"
#include "memory/machine.h"
#include "model/weight_packing.h"

namespace llmrun {
namespace {

const Machine& ThisMachine() {
  static const Machine machine = DetectMachine().value();
  return machine;
}

}  // namespace

Result<std::unique_ptr<LoadedModel>> LoadedModel::Start(const std::string& path,
                                                        const ModelStart& start) {
  ASSIGN_OR_RETURN(const std::unique_ptr<FileByteSource> source, FileByteSource::Open(path));
  ASSIGN_OR_RETURN(GgufFile file, ParseGguf(*source));
  if (start.edit) start.edit(file);
  std::vector<GgufFile> files;
  files.push_back(std::move(file));
  ASSIGN_OR_RETURN(TensorIndex index, TensorIndex::Build(std::move(files)));
  ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(index));
  std::unique_ptr<LoadedModel> model(new LoadedModel{std::move(index), std::move(config), nullptr});
  LoadOptions load = start.load;
  load.packing = &WeightPacking();
  load.pack = start.pack;
  ASSIGN_OR_RETURN(
      model->weights,
      StartLoadWith(model->index, start.machine != nullptr ? *start.machine : ThisMachine(), load,
                    start.backend));
  return model;
}

Result<std::unique_ptr<Session>> LoadedModel::NewSession(ThreadPool& pool,
                                                         const SessionOptions& options) const {
  return Session::Create(config, *weights, pool, options);
}

TempFile::TempFile(std::span<const std::byte> bytes) {
  path_ = (std::filesystem::temp_directory_path() / "llmrun_model_XXXXXX").string();
  const int fd = mkstemp(path_.data());
  CHECK(fd >= 0);
  close(fd);
  CHECK(WriteFile(path_, bytes));
}

TempFile::~TempFile() { unlink(path_.c_str()); }

std::vector<TokenId> TokensFrom(uint32_t seed, size_t count, uint32_t n_vocab) {
  std::mt19937 random(seed);
  std::vector<TokenId> tokens = {1};
  while (tokens.size() < count) tokens.push_back(static_cast<TokenId>(random() % n_vocab));
  return tokens;
}

std::unique_ptr<ThreadPool> MakeTestPool(int threads) {
  ThreadPoolOptions options;
  options.threads = threads;
  options.spin_ns = 0;
  return ThreadPool::Create(options).value();
}

std::vector<IsaLevel> SupportedIsaLevels() {
  std::vector<IsaLevel> levels;
  for (const IsaLevel level : AllIsaLevels()) {
    if (ChooseIsa(NameOf(level))) levels.push_back(level);
  }
  return levels;
}

}  // namespace llmrun
