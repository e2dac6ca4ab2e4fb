// A ModelStream as a backend: one request at a time, in the order of their offsets.
//
// Threads: as ReadBackend. Owner: the stream is borrowed. Failure: Reap() fails as ReadNext(), for
// bytes of a stream are not to be had twice.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "loader/io/create_backend.h"
#include "loader/io/model_stream.h"
#include "loader/io/read_backend.h"

namespace llmrun {

class StreamBackend final : public ReadBackend {
 public:
  // Of the options: before_read and cancelled.
  StreamBackend(ModelStream& stream, const BackendOptions& options)
      : stream_(stream), before_read_(options.before_read), cancelled_(options.cancelled) {}

  std::string_view Name() const override { return "pipe"; }
  uint32_t Capacity() const override { return 1; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override;
  Result<size_t> Reap(std::span<ReadCompletion> completions) override;

 private:
  ModelStream& stream_;
  const std::function<int(const ReadRequest&)> before_read_;
  const std::atomic<bool>* const cancelled_;
  std::optional<ReadRequest> request_;
};

}  // namespace llmrun
