#include "cli/device_limit.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/small_file.h"
#include "cli/cache_file.h"

namespace llmrun {
namespace {

struct BlockDevice {
  std::string number;  // "259:1"
  std::string uevent;  // its name, kind and partition, as sysfs has them
  std::string sectors;
};

std::optional<BlockDevice> DeviceOf(const TensorIndex& index) {
  struct stat info = {};
  if (::stat(index.files().front().label.c_str(), &info) != 0) return std::nullopt;
  BlockDevice device;
  device.number = fmt::format("{}:{}", major(info.st_dev), minor(info.st_dev));
  const std::string folder = "/sys/dev/block/" + device.number;
  Result<std::string> uevent = ReadSmallFile(folder + "/uevent");
  Result<std::string> sectors = ReadSmallFile(folder + "/size");
  if (!uevent || !sectors) return std::nullopt;
  device.uevent = *std::move(uevent);
  device.sectors = *std::move(sectors);
  return device;
}

}  // namespace

std::string DeviceLimitFile() { return CacheFile("devices.json"); }

double KnownDeviceLimit(const TensorIndex& index, const std::string& cache_file) {
  const std::optional<BlockDevice> device = DeviceOf(index);
  if (!device) return 0;
  const Json saved = LoadCacheFile(cache_file);
  const auto entry = saved.find(device->number);
  if (entry == saved.end() || !entry->is_object() || !entry->contains("read_bytes_per_s")) return 0;
  const bool same = entry->value("uevent", Json()) == Json(device->uevent) &&
                    entry->value("sectors", Json()) == Json(device->sectors);
  const Json& rate = (*entry)["read_bytes_per_s"];
  return same && rate.is_number() ? rate.get<double>() : 0;
}

Status SaveDeviceLimit(const TensorIndex& index, double bytes_per_second,
                       const std::string& cache_file) {
  const std::optional<BlockDevice> device = DeviceOf(index);
  if (!device || cache_file.empty()) return {};
  Json saved = LoadCacheFile(cache_file);
  saved[device->number] = {{"uevent", device->uevent},
                           {"sectors", device->sectors},
                           {"read_bytes_per_s", bytes_per_second}};
  return SaveCacheFile(saved, cache_file);
}

}  // namespace llmrun
