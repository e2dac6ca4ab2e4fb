#include "loader/io/stream_backend.h"

#include <utility>

namespace llmrun {

Result<size_t> StreamBackend::Submit(std::span<const ReadRequest> batch) {
  if (batch.empty() || request_) return 0;
  request_ = batch.front();
  return 1;
}

Result<size_t> StreamBackend::Reap(std::span<ReadCompletion> completions) {
  if (!request_) return 0;
  const ReadRequest request = *std::exchange(request_, std::nullopt);
  const int error = before_read_ ? before_read_(request) : 0;
  if (error == 0) {
    RETURN_IF_ERROR(
        stream_.ReadNext(request.offset, {request.destination, request.bytes}, cancelled_));
  }
  completions.front() = {request.tag, error == 0 ? static_cast<int64_t>(request.bytes) : -error};
  return 1;
}

}  // namespace llmrun
