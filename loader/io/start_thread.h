// Starts threads for reading: a thread that cannot be had is an Error, not an exception.
#pragma once

#include <functional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/error.h"

namespace llmrun {

// `cpus`: where the thread may run, all of them alike; empty: anywhere. A refusal to bind is
// harmless (placement is read back from the kernel) and ignored.
// Failure: kOs, naming `what` the thread is for.
Result<std::thread> StartThread(std::string_view what, std::vector<unsigned> cpus,
                                std::function<void()> body);
// `count` of them with the same body, appended to `threads`, also those that were started before
// one failed.
Status StartThreads(std::string_view what, int count, const std::vector<unsigned>& cpus,
                    const std::function<void()>& body, std::vector<std::thread>* threads);

}  // namespace llmrun
