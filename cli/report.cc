#include "cli/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/units.h"

namespace llmrun {

uint64_t PageCount(uint64_t bytes, uint64_t page_bytes) {
  return bytes / page_bytes + (bytes % page_bytes != 0 ? 1 : 0);
}

Json FallbackJson(const Fallback& fallback) {
  return {{"wanted", fallback.wanted},
          {"got", fallback.got},
          {"why", fallback.why},
          {"fix", fallback.fix}};
}

namespace {

struct PagesOfKind {
  PageKind kind;
  uint64_t got_bytes;
  uint64_t wanted_bytes;

  uint64_t got() const { return PageCount(got_bytes, PageBytes(kind)); }
  uint64_t wanted() const { return PageCount(wanted_bytes, PageBytes(kind)); }
};

std::vector<PagesOfKind> PagesByKind(const LoadReport& report) {
  const Residency& found = report.residency;
  std::vector<PagesOfKind> kinds = {{PageKind::k1G, found.bytes_1g, 0},
                                    {PageKind::k2M, found.bytes_2m, 0},
                                    {PageKind::kThp, found.bytes_thp, 0},
                                    {PageKind::k4K, found.bytes_4k, 0}};
  for (const PageTile& wanted : report.wanted_pages) {
    std::ranges::find(kinds, wanted.kind, &PagesOfKind::kind)->wanted_bytes += wanted.bytes;
  }
  return kinds;
}

// "1G 4/4  2M 0/293  THP 293": got of wanted; the count alone of what was not asked for.
std::string PagesText(const LoadReport& report) {
  std::string out;
  for (const PagesOfKind& pages : PagesByKind(report)) {
    if (pages.got() == 0 && pages.wanted() == 0) continue;
    out += fmt::format("  {} {}", NameOf(pages.kind), pages.got());
    if (pages.wanted() > 0) out += fmt::format("/{}", pages.wanted());
  }
  return out.empty() ? "  none" : out;
}

// What the device can do says nothing about bytes that came from elsewhere.
bool CameFromDevice(const LoadReport& report) {
  return report.io_rings > 0 && report.copies == 0 && report.device_bytes_per_s > 0;
}

}  // namespace

Json ReportJson(const LoadReport& report) {
  const Residency& pages = report.residency;
  Json fallbacks = Json::array();
  for (const Fallback& f : report.fallbacks) fallbacks.push_back(FallbackJson(f));
  Json nodes = Json::object();
  for (const auto& [node, bytes] : pages.node_bytes) nodes[std::to_string(node)] = bytes;
  Json got = Json::object();
  Json wanted = Json::object();
  for (const PagesOfKind& kind : PagesByKind(report)) {
    got[NameOf(kind.kind)] = kind.got();
    wanted[NameOf(kind.kind)] = kind.wanted();
  }
  return {
      {"loader", report.loader},
      {"requested", report.requested},
      {"got", report.loader},
      {"io_rings", report.io_rings},
      {"io_depth", report.io_depth},
      {"io_request_bytes", report.io_request_bytes},
      {"io_poll", NameOf(report.io_poll)},
      {"hugepages_requested", report.hugepages_requested},
      {"numa_requested", report.numa_requested},
      {"numa", report.numa},
      {"numa_rule", report.numa_rule.empty() ? Json(nullptr) : Json(report.numa_rule)},
      {"fallbacks", fallbacks},
      {"file_bytes", report.file_bytes},
      {"read_bytes", report.read_bytes},
      {"cached_bytes_before",
       report.cached_bytes_before ? Json(*report.cached_bytes_before) : Json(nullptr)},
      {"seconds", report.seconds},
      {"gb_per_s", report.BytesPerSecond() * 1e-9},
      {"device_limit_gb_per_s",
       report.device_bytes_per_s > 0 ? Json(report.device_bytes_per_s * 1e-9) : Json(nullptr)},
      {"plan_s", report.plan_seconds},
      {"populate_s", report.populate_seconds},
      {"read_s", report.read_seconds},
      {"hash_s", report.hash_seconds},
      {"packed_bytes", report.packed_bytes},
      {"pack_s", report.pack_seconds},
      {"time_to_first_layer_s", report.time_to_first_layer_seconds},
      {"cpu_seconds", report.cpu_seconds},
      {"stolen_cpu_seconds", report.stolen_seconds ? Json(*report.stolen_seconds) : Json(nullptr)},
      {"copies", report.copies},
      {"pages", got},
      {"pages_wanted", report.wanted_pages.empty() ? Json(nullptr) : wanted},
      {"pages_bytes",
       {{"1G", pages.bytes_1g},
        {"2M", pages.bytes_2m},
        {"THP", pages.bytes_thp},
        {"4K", pages.bytes_4k},
        {"absent", pages.bytes_absent}}},
      {"nodes", nodes},
      {"remote_fraction", report.RemoteFraction()},
      {"moved_bytes", report.moved_bytes},
      {"minor_faults", report.minor_faults},
      {"major_faults", report.major_faults},
      {"xxh3", report.hashed ? Json(FormatHash(report.xxh3)) : Json(nullptr)},
  };
}

std::string ReportText(const LoadReport& report) {
  const Residency& pages = report.residency;
  std::string how = report.loader;
  if (report.io_depth > 0) {
    if (report.io_poll != IoPoll::kNone) how += fmt::format(" {}", NameOf(report.io_poll));
    if (report.io_rings > 1) how += fmt::format(" {} rings", report.io_rings);
    how += fmt::format(" {} x {}", report.io_depth, FormatBytes(report.io_request_bytes));
  }
  std::string rate = FormatRate(report.read_bytes, report.seconds);
  if (CameFromDevice(report)) {
    rate += fmt::format(", {:.0f}% of device",
                        100.0 * report.BytesPerSecond() / report.device_bytes_per_s);
  }
  std::string out = fmt::format("load   {}  {} in {} ({})  copies {:.3g}  first layer {}", how,
                                FormatBytes(report.read_bytes), FormatSeconds(report.seconds), rate,
                                report.copies, FormatSeconds(report.time_to_first_layer_seconds));
  if (report.packed_bytes > 0) out += fmt::format("  packed {}", FormatBytes(report.packed_bytes));
  if (report.hashed) out += "  xxh3 " + FormatHash(report.xxh3);
  out += "\npages" + PagesText(report);
  const uint64_t placed_bytes = pages.PlacedBytes();
  for (const auto& [node, bytes] : pages.node_bytes) {
    if (placed_bytes == 0) break;
    out += fmt::format("  node{} {:.3g}%", node,
                       100.0 * static_cast<double>(bytes) / static_cast<double>(placed_bytes));
  }
  if (pages.node_bytes.size() > 1 || report.remote_bytes > 0) {
    out += fmt::format("  remote {:.3g}%", 100.0 * report.RemoteFraction());
  }
  if (report.moved_bytes > 0) out += fmt::format("  moved {}", FormatBytes(report.moved_bytes));
  if (pages.bytes_absent > 0) {
    out += fmt::format("  not in memory {}", FormatBytes(pages.bytes_absent));
  }
  out += "\n";
  if (!report.numa_rule.empty()) {
    out += fmt::format("numa   {}: {}\n", report.numa, report.numa_rule);
  }
  for (const Fallback& f : report.fallbacks) out += "note   " + f.OneLine() + "\n";
  return out;
}

}  // namespace llmrun
