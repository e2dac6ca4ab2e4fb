#include "loader/open_model.h"

#include "loader/io/file_byte_source.h"

namespace llmrun {

Result<TensorIndex> OpenModel(const std::string& path) {
  const std::vector<std::string> paths = SplitPartPaths(path);
  std::vector<GgufFile> files;
  for (size_t i = 0; i < paths.size(); ++i) {
    Result<std::unique_ptr<FileByteSource>> source = FileByteSource::Open(paths[i]);
    if (!source) {
      Error error = std::move(source).error();
      if (paths.size() > 1) {
        error.message =
            fmt::format("part {} of {} cannot be opened: {}", i + 1, paths.size(), error.message);
      }
      return tl::unexpected(std::move(error));
    }
    ASSIGN_OR_RETURN(GgufFile file, ParseGguf(**source));
    files.push_back(std::move(file));
  }
  return TensorIndex::Build(std::move(files));
}

}  // namespace llmrun
