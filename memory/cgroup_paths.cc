#include "memory/cgroup_paths.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/small_file.h"

namespace llmrun {
namespace {

// "/a/b" under "/sys/fs/cgroup" -> the directories of b, a and the mount itself.
std::vector<std::string> DirectoriesUpwards(const std::string& mount, std::string path) {
  std::vector<std::string> directories;
  while (path.size() > 1) {
    directories.push_back(mount + path);
    path.erase(path.rfind('/'));
  }
  directories.push_back(mount);
  return directories;
}

}  // namespace

// Lines: "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1).
CgroupDirectories FindCgroups(const LimitRoots& roots, const std::string& whose) {
  const std::string file = SmallFileOrEmpty(fmt::format("{}/{}/cgroup", roots.proc, whose));
  CgroupDirectories found;
  std::string_view text = file;
  while (!text.empty()) {
    const size_t line_end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, line_end);
    text.remove_prefix(std::min(line_end + 1, text.size()));
    const size_t first = line.find(':');
    const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos || second + 1 >= line.size() || line[second + 1] != '/') continue;
    const std::string path(line.substr(second + 1));
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1));
    if (controllers == ",,") {
      const bool only_v2 = access((roots.cgroup + "/cgroup.controllers").c_str(), F_OK) == 0;
      found.unified = DirectoriesUpwards(only_v2 ? roots.cgroup : roots.cgroup + "/unified", path);
    }
    const auto has = [&](std::string_view name) {
      return controllers.find(fmt::format(",{},", name)) != controllers.npos;
    };
    if (has("memory")) found.v1_memory = DirectoriesUpwards(roots.cgroup + "/memory", path);
    if (has("cpu")) found.v1_cpu = DirectoriesUpwards(roots.cgroup + "/cpu", path);
    if (has("cpuset")) found.v1_cpuset = DirectoriesUpwards(roots.cgroup + "/cpuset", path);
  }
  return found;
}

}  // namespace llmrun
