#include "loader/safetensors/shard_index.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "loader/gguf/name_table.h"
#include "loader/gguf/printable.h"
#include "loader/safetensors/json_events.h"

namespace llmrun {
namespace {

constexpr std::string_view kShardEnd = ".safetensors";
constexpr std::string_view kIndexEnd = ".safetensors.index.json";
constexpr int kMaxDepth = 16;  // of what stands beside the map

// Reads "weight_map" and passes over everything beside it.
class ShardIndexReader final : public JsonEvents {
 public:
  explicit ShardIndexReader(ShardIndex* index) : index_(*index) {}

  Status OpenObject() override {
    if (depth_ == 1 && name_ == "weight_map") {
      if (std::exchange(seen_map_, true)) return Fail("weight_map is there twice");
      in_map_ = true;
    }
    return Enter();
  }
  Status Key(std::string name) override {
    if (depth_ == 1 || in_map_) name_ = std::move(name);
    return {};
  }
  Status CloseObject() override {
    in_map_ = false;
    return Leave();
  }
  Status OpenArray() override { return Enter(); }
  Status CloseArray() override { return Leave(); }
  Status Text(std::string text) override { return in_map_ ? AddPlace(std::move(text)) : Skip(); }
  Status Number(uint64_t /*number*/) override { return Skip(); }
  Status Other(std::string_view /*what*/) override { return Skip(); }

  Status Finish() const {
    if (!seen_map_ || index_.places.empty()) return Fail("it has no weight_map, or an empty one");
    return {};
  }

 private:
  Status Enter() {
    if (in_map_ && depth_ > 1) return Fail("weight_map: expected names of files");
    if (++depth_ > kMaxDepth) return Fail("objects nested deeper than {}", kMaxDepth);
    return {};
  }
  Status Leave() {
    --depth_;
    return {};
  }
  Status Skip() const {
    if (in_map_ || depth_ == 0) return Fail("expected an object with a weight_map of file names");
    return {};
  }
  Status AddPlace(std::string shard);

  template <typename... Args>
  tl::unexpected<Error> Fail(fmt::format_string<Args...> format, Args&&... args) const {
    return MakeError(ErrorCode::kBadData, "{}: {}", index_.label,
                     fmt::format(format, std::forward<Args>(args)...));
  }

  ShardIndex& index_;
  NameTable tensors_;
  NameTable shards_;
  std::string name_;
  int depth_ = 0;
  bool in_map_ = false;
  bool seen_map_ = false;
};

// A shard is a file beside the index: a name with a folder in it could lead anywhere.
Status ShardIndexReader::AddPlace(std::string shard) {
  if (shard.find('/') != shard.npos || shard.find('\0') != shard.npos ||
      !shard.ends_with(kShardEnd)) {
    return Fail("tensor {}: expected the name of a {} file beside the index, found {}",
                Quoted(name_), kShardEnd, Quoted(shard));
  }
  const auto shard_of = [&](uint32_t i) -> const std::string& { return index_.shards[i]; };
  std::optional<uint32_t> at = shards_.Find(shard, shard_of);
  if (!at) {
    if (index_.shards.size() == kMaxShards) return Fail("more than {} shards", kMaxShards);
    at = static_cast<uint32_t>(index_.shards.size());
    index_.shards.push_back(std::move(shard));
    shards_.Insert(index_.shards.back(), *at, shard_of);
  }
  const auto tensor_of = [&](uint32_t i) -> const std::string& { return index_.places[i].tensor; };
  if (tensors_.Find(name_, tensor_of)) return Fail("tensor {} is there twice", Quoted(name_));
  index_.places.push_back({name_, *at});
  tensors_.Insert(name_, static_cast<uint32_t>(index_.places.size() - 1), tensor_of);
  return {};
}

void SortShards(ShardIndex* index) {
  std::vector<std::string> sorted = index->shards;
  std::ranges::sort(sorted);
  for (ShardIndex::Place& place : index->places) {
    const auto at = std::ranges::lower_bound(sorted, index->shards[place.shard]);
    place.shard = static_cast<uint32_t>(at - sorted.begin());
  }
  index->shards = std::move(sorted);
}

}  // namespace

bool IsShardIndexPath(std::string_view path) { return path.ends_with(kIndexEnd); }

// "x-00001-of-00003.safetensors" -> "x.safetensors.index.json"
std::optional<std::string> ShardIndexPathOf(std::string_view path) {
  constexpr std::string_view kPattern = "-00001-of-00003";
  if (!path.ends_with(kShardEnd)) return std::nullopt;
  path.remove_suffix(kShardEnd.size());
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kPattern.size());
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool wants_digit = kPattern[i] >= '0' && kPattern[i] <= '9';
    const bool is_digit = tail[i] >= '0' && tail[i] <= '9';
    if (wants_digit ? !is_digit : tail[i] != kPattern[i]) return std::nullopt;
  }
  path.remove_suffix(kPattern.size());
  return std::string(path) + std::string(kIndexEnd);
}

Result<ShardIndex> ParseShardIndex(std::string_view json, const std::string& label) {
  ShardIndex index;
  index.label = label;
  ShardIndexReader reader(&index);
  RETURN_IF_ERROR(ParseJson(json, label, 0, reader));
  RETURN_IF_ERROR(reader.Finish());
  SortShards(&index);
  return index;
}

Status CheckShards(const ShardIndex& index, const std::vector<GgufFile>& files) {
  CHECK(files.size() == index.shards.size());
  const auto name_of = [&](uint32_t i) -> const std::string& { return index.places[i].tensor; };
  NameTable names;
  names.Reserve(index.places.size());
  for (uint32_t i = 0; i < index.places.size(); ++i) names.Insert(name_of(i), i, name_of);
  size_t n_tensors = 0;
  for (uint32_t shard = 0; shard < files.size(); ++shard) {
    for (const TensorInfo& tensor : files[shard].tensors) {
      const std::optional<uint32_t> at = names.Find(tensor.name, name_of);
      if (at && index.places[*at].shard == shard) continue;
      return MakeError(ErrorCode::kBadData, "{}: tensor {}: expected in {}, found in {}",
                       index.label, Quoted(tensor.name),
                       at ? index.shards[index.places[*at].shard] : "no shard", files[shard].label);
    }
    n_tensors += files[shard].tensors.size();
  }
  if (n_tensors == index.places.size()) return {};
  return MakeError(ErrorCode::kBadData, "{}: weight_map names {} tensors, the {} shards have {}",
                   index.label, index.places.size(), files.size(), n_tensors);
}

}  // namespace llmrun
