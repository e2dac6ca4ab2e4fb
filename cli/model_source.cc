#include "cli/model_source.h"

#include <unistd.h>

#include <utility>

#include "loader/open_model.h"

namespace llmrun {
namespace {

Result<ModelSource> Open(const std::string& path,
                         Result<TensorIndex> (*open_files)(const std::string&)) {
  if (path != "-") {
    ASSIGN_OR_RETURN(TensorIndex index, open_files(path));
    return ModelSource{nullptr, std::move(index)};
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ModelStream> stream,
                   ModelStream::Open(STDIN_FILENO, "standard input"));
  ASSIGN_OR_RETURN(TensorIndex index, OpenModelStream(*stream));
  return ModelSource{std::move(stream), std::move(index)};
}

}  // namespace

Result<ModelSource> OpenSource(const std::string& path) { return Open(path, OpenModel); }

Result<ModelSource> OpenRunnableSource(const std::string& path) {
  return Open(path, OpenRunnableModel);
}

}  // namespace llmrun
