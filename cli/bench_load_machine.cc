#include "cli/bench_load_machine.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <nlohmann/json.hpp>

#include <set>
#include <sstream>

#include "base/small_file.h"
#include "cli/engine.h"
#include "loader/io/model_file.h"

namespace llmrun {
namespace {

struct Mount {
  std::string type;
  std::string source;
};

// The line of /proc/self/mountinfo for a device: "36 35 98:0 /root /mnt opts [tags] - ext4 /dev/vda
// opts". Unset where a file system numbers its files' device otherwise (btrfs).
std::optional<Mount> MountOf(const std::string& path) {
  struct stat info = {};
  const Result<std::string> text = ReadSmallFile("/proc/self/mountinfo");
  if (!text || ::stat(path.c_str(), &info) != 0) return std::nullopt;
  const std::string device = fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev));
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id;
    std::string parent;
    std::string number;
    words >> id >> parent >> number;
    if (number != device) continue;
    Mount mount;
    for (std::string word; words >> word && word != "-";) {
    }
    words >> mount.type >> mount.source;
    return mount;
  }
  return std::nullopt;
}

}  // namespace

Result<Json> DescribeMachine(const Machine& machine, const TensorIndex& index) {
  ASSIGN_OR_RETURN(const IsaLevel isa, WantedIsa());
  const GgufFile& first = index.files().front();
  ASSIGN_OR_RETURN(const ModelFile file, OpenModelFile(first.label, first.file_bytes));
  const std::optional<Mount> mount = MountOf(first.label);
  std::set<unsigned> cores;
  for (const Cpu& cpu : machine.cpus) cores.insert(cpu.core);
  utsname names = {};
  ::uname(&names);
  return Json{
      {"cpu_model", machine.cpu_model},
      {"cores", cores.size()},
      {"effective_cpus", machine.effective_cpus},
      {"numa_nodes", machine.nodes.size()},
      {"memory_bytes", machine.total_bytes},
      {"thp_mode", machine.thp_mode},
      {"kernel", names.release},
      {"file_system", mount ? Json(mount->type) : Json(nullptr)},
      {"device", mount ? Json(mount->source) : Json(nullptr)},
      {"direct_alignment", file.direct_fd.valid() ? Json(file.direct_alignment) : Json(nullptr)},
      {"compiler", LLMRUN_COMPILER},
      {"llm_run_version", LLMRUN_VERSION},
      {"isa", NameOf(isa)},
  };
}

}  // namespace llmrun
