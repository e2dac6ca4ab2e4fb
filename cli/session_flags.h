// The options of a session that run, eval and bench share: context, batch, type of the KV cache.
// Threads: before any thread is started.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "cli/cli11_fwd.h"
#include "model/session.h"

namespace llmrun {

struct SessionFlags {
  int64_t ctx_size = 0;  // 0: the model's own
  int64_t batch_size = SessionOptions{}.n_batch;
  int64_t ubatch_size = 0;      // llama.cpp's physical batch; 0: as batch_size
  std::string kv_type = "f16";  // -ctk
  std::string kv_type_v;        // -ctv; empty: as kv_type
  std::string kernels = "auto";
};

void AddSessionFlags(CLI::App& command, SessionFlags& flags);
// kUsage for sizes that mean nothing and names of nothing, kUnavailable for types that keys and
// values cannot have.
Result<SessionOptions> MakeSessionOptions(const SessionFlags& flags);

}  // namespace llmrun
