#include "loader/resident/manifest.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace llmrun {
namespace {

using Json = nlohmann::ordered_json;

std::string HexOf(uint64_t hash) { return fmt::format("{:016x}", hash); }

// Takes fields out of an object; remembers the first that is missing or of another type.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  uint64_t Number(const char* key) {
    const Json* field = Get(key);
    if (field == nullptr || !field->is_number_unsigned()) return Bad(key);
    return field->get<uint64_t>();
  }
  uint32_t Number32(const char* key) {
    const uint64_t number = Number(key);
    const bool fits = number <= std::numeric_limits<uint32_t>::max();
    return static_cast<uint32_t>(fits ? number : Bad(key));
  }
  int64_t Signed(const char* key) {
    const Json* field = Get(key);
    if (field == nullptr || !field->is_number_integer()) return static_cast<int64_t>(Bad(key));
    return field->get<int64_t>();
  }
  std::string Text(const char* key) {
    const Json* field = Get(key);
    if (field == nullptr || !field->is_string()) {
      Bad(key);
      return {};
    }
    return field->get<std::string>();
  }
  uint64_t Hash(const char* key) {
    const std::string text = Text(key);
    uint64_t hash = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, hash, 16);
    return error == std::errc() && stop == end ? hash : Bad(key);
  }
  // Never null.
  const Json* List(const char* key, size_t at_least) {
    static const Json none = Json::array();
    const Json* field = Get(key);
    if (field != nullptr && field->is_array() && field->size() >= at_least) return field;
    Bad(key);
    return &none;
  }
  // Numbers that fit into 32 bits.
  std::vector<uint32_t> Numbers(const char* key) {
    std::vector<uint32_t> numbers;
    for (const Json& number : *List(key, 0)) {
      const bool fits = number.is_number_unsigned() &&
                        number.get<uint64_t>() <= std::numeric_limits<uint32_t>::max();
      numbers.push_back(fits ? number.get<uint32_t>() : static_cast<uint32_t>(Bad(key)));
    }
    return numbers;
  }
  uint64_t Bad(const char* key) {
    if (bad_.empty()) bad_ = key;
    return 0;
  }
  const std::string& bad() const { return bad_; }  // empty: every field was there

 private:
  const Json* Get(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  const Json& object_;
  std::string bad_;
};

ResidentPart ReadPart(const Json& json, Fields* whole) {
  Fields fields(json);
  ResidentPart part;
  part.path = fields.Text("path");
  part.identity.device = fields.Number("device");
  part.identity.inode = fields.Number("inode");
  part.identity.bytes = fields.Number("bytes");
  part.identity.modified_seconds = fields.Signed("modified_seconds");
  part.identity.modified_nanoseconds = fields.Signed("modified_nanoseconds");
  part.header_bytes = fields.Number("header_bytes");
  part.header_xxh3 = fields.Hash("header_xxh3");
  if (!fields.bad().empty()) whole->Bad("parts");
  return part;
}

PageKind ReadPages(Fields* fields) {
  const std::string name = fields->Text("pages");
  for (const PageKind kind : {PageKind::k4K, PageKind::kThp, PageKind::k2M, PageKind::k1G}) {
    if (name == NameOf(kind)) return kind;
  }
  fields->Bad("pages");
  return PageKind::k4K;
}

ResidentData ReadData(const Json& json, Fields* whole) {
  Fields fields(json);
  ResidentData data;
  data.image_bytes = fields.Number("image_bytes");
  data.pages = ReadPages(&fields);
  data.path = fields.Text("data_path");
  data.inode = fields.Number("data_inode");
  data.bytes = fields.Number("data_bytes");
  if (!fields.bad().empty()) whole->Bad("data");
  return data;
}

void ReadImages(Fields* fields, ResidentManifest* manifest) {
  const std::optional<NumaPolicy> numa = ParseNumaPolicy(fields->Text("numa"));
  if (numa && numa->mode != NumaMode::kAuto) {
    manifest->numa = *numa;
  } else {
    fields->Bad("numa");
  }
  manifest->nodes = fields->Numbers("nodes");
  manifest->shares = fields->Numbers("shares");
  const bool sharded = manifest->numa.mode == NumaMode::kShard && manifest->nodes.size() > 1;
  if (sharded && manifest->shares.size() != manifest->nodes.size()) fields->Bad("shares");
  for (const uint32_t share : manifest->shares) {
    if (share == 0) fields->Bad("shares");
  }
}

}  // namespace

uint64_t ResidentManifest::DataBytes() const {
  uint64_t bytes = 0;
  for (const ResidentData& image : data) bytes += image.bytes;
  return bytes;
}

PageKind ResidentManifest::Pages() const {
  PageKind smallest = data.empty() ? PageKind::k4K : PageKind::k1G;
  for (const ResidentData& image : data) smallest = std::min(smallest, image.pages);
  return smallest;
}

std::string ToJson(const ResidentManifest& manifest) {
  Json parts = Json::array();
  for (const ResidentPart& part : manifest.parts) {
    parts.push_back({{"path", part.path},
                     {"device", part.identity.device},
                     {"inode", part.identity.inode},
                     {"bytes", part.identity.bytes},
                     {"modified_seconds", part.identity.modified_seconds},
                     {"modified_nanoseconds", part.identity.modified_nanoseconds},
                     {"header_bytes", part.header_bytes},
                     {"header_xxh3", HexOf(part.header_xxh3)}});
  }
  Json data = Json::array();
  for (const ResidentData& image : manifest.data) {
    data.push_back({{"image_bytes", image.image_bytes},
                    {"pages", NameOf(image.pages)},
                    {"data_path", image.path},
                    {"data_inode", image.inode},
                    {"data_bytes", image.bytes}});
  }
  const Json json = {{"layout_version", manifest.layout_version},
                     {"parts", parts},
                     {"numa", NameOf(manifest.numa)},
                     {"nodes", manifest.nodes},
                     {"shares", manifest.shares},
                     {"data", data},
                     {"packing_version", manifest.packing_version},
                     {"xxh3", HexOf(manifest.xxh3)},
                     {"pid", manifest.pid},
                     {"created_seconds", manifest.created_seconds}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<ResidentManifest> ParseManifest(const std::string& json, const std::string& label) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  Fields fields(parsed);
  ResidentManifest manifest;
  manifest.layout_version = fields.Number32("layout_version");
  for (const Json& part : *fields.List("parts", 1)) {
    manifest.parts.push_back(ReadPart(part, &fields));
  }
  ReadImages(&fields, &manifest);
  for (const Json& data : *fields.List("data", 1)) {
    manifest.data.push_back(ReadData(data, &fields));
  }
  manifest.packing_version = fields.Number32("packing_version");
  manifest.xxh3 = fields.Hash("xxh3");
  manifest.pid = fields.Signed("pid");
  manifest.created_seconds = fields.Signed("created_seconds");
  if (fields.bad().empty()) return manifest;
  return MakeError(ErrorCode::kBadData, "{}: not a manifest of resident weights: '{}' is {}", label,
                   fields.bad(), "missing or of another kind");
}

}  // namespace llmrun
