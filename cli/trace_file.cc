#include "cli/trace_file.h"

#include <map>
#include <nlohmann/json.hpp>

#include "cli/output.h"

namespace llmrun {

Status WriteTrace(TraceLog& trace, const std::string& path) {
  Json events = Json::array();
  std::map<std::string, int> tracks;
  int64_t id = 0;
  for (const TraceSpan& span : trace.Take()) {
    const auto [track, is_new] = tracks.emplace(span.track, static_cast<int>(tracks.size()) + 1);
    if (is_new) {
      events.push_back({{"ph", "M"},
                        {"name", "thread_name"},
                        {"pid", 1},
                        {"tid", track->second},
                        {"args", {{"name", span.track}}}});
    }
    ++id;
    for (const auto& [phase, seconds] :
         {std::pair("b", span.begin_s), std::pair("e", span.end_s)}) {
      events.push_back({{"ph", phase},
                        {"cat", span.track},
                        {"name", span.name},
                        {"id", id},
                        {"pid", 1},
                        {"tid", track->second},
                        {"ts", seconds * 1e6}});
    }
  }
  return WriteJsonTo({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}, path);
}

}  // namespace llmrun
