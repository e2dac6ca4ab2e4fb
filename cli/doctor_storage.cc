#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/small_file.h"
#include "base/units.h"
#include "cli/doctor.h"
#include "loader/io/model_file.h"
#include "loader/io/uring_backend.h"

namespace llmrun {
namespace {

// The likely cause of a refusal and what to do about it; io_uring_setup(2).
Check RefusedRing(int error) {
  Check check{"io_uring", CheckLevel::kWarn,
              fmt::format("refused ({}): loads use parallel reads instead", std::strerror(error)),
              ""};
  const uint64_t disabled = ReadNumberFile("/proc/sys/kernel/io_uring_disabled").value_or(0);
  if (disabled != 0) {
    check.found += fmt::format("; kernel.io_uring_disabled is {}", disabled);
    check.fix = "sudo sysctl kernel.io_uring_disabled=0";
  } else if (error == EPERM || error == ENOSYS) {
    check.found += "; in a container the cause is its seccomp profile";
    check.fix = "allow io_uring_setup, io_uring_enter and io_uring_register in the profile";
  } else if (error == ENOMEM) {
    check.fix = "ulimit -l unlimited";
  }
  return check;
}

Check Ring() {
  constexpr uint32_t kDepth = 16;
  const auto ring = UringBackend::Create({}, kDepth, IoPoll::kNone);
  if (!ring) return RefusedRing(ring.error());
  return {"io_uring", CheckLevel::kOk, "a ring was made", ""};
}

Check DirectIo(const std::string& path) {
  std::error_code error;
  const uint64_t bytes = std::filesystem::file_size(path, error);
  if (error) {
    return {"model", CheckLevel::kFail, fmt::format("{}: {}", path, error.message()),
            "-m MODEL.gguf"};
  }
  const Result<ModelFile> file = OpenModelFile(path, bytes);
  if (!file) return {"model", CheckLevel::kFail, file.error().message, file.error().fix};
  if (!file->direct_fd.valid()) {
    return {"direct io", CheckLevel::kWarn,
            fmt::format("{}: not here ({}): reads go through the page cache, one copy", path,
                        file->why_not_direct),
            "keep models on ext4, xfs or btrfs"};
  }
  return {"direct io", CheckLevel::kOk,
          fmt::format("{}: O_DIRECT, aligned to {}", path, FormatBytes(file->direct_alignment)),
          ""};
}

}  // namespace

void CheckStorage(const std::string& model_path, Checks& checks) {
  checks.push_back(Ring());
  if (!model_path.empty()) checks.push_back(DirectIo(model_path));
}

}  // namespace llmrun
