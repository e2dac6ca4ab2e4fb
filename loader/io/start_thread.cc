#include "loader/io/start_thread.h"

#include <climits>
#include <system_error>
#include <utility>

#include "base/thread_error.h"
#include "sched/affinity.h"

namespace llmrun {
namespace {

void BindThisThread(const std::vector<unsigned>& cpus) {
  using Word = decltype(CpuMask::words)::value_type;
  constexpr unsigned kWordBits = sizeof(Word) * CHAR_BIT;
  CpuMask mask;
  for (const unsigned cpu : cpus) {
    if (mask.words.size() <= cpu / kWordBits) mask.words.resize(cpu / kWordBits + 1);
    mask.words[cpu / kWordBits] |= Word{1} << cpu % kWordBits;
  }
  const Status ignored = SetAffinity(ThisThreadId(), mask);
  static_cast<void>(ignored);
}

}  // namespace

Result<std::thread> StartThread(std::string_view what, std::vector<unsigned> cpus,
                                std::function<void()> body) {
  try {
    return std::thread([cpus = std::move(cpus), body = std::move(body)] {
      if (!cpus.empty()) BindThisThread(cpus);
      body();
    });
  } catch (const std::system_error& error) {
    return ThreadError(error, fmt::format("starting a thread for {}", what));
  }
}

Status StartThreads(std::string_view what, int count, const std::vector<unsigned>& cpus,
                    const std::function<void()>& body, std::vector<std::thread>* threads) {
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::thread thread, StartThread(what, cpus, body));
    threads->push_back(std::move(thread));
  }
  return {};
}

}  // namespace llmrun
