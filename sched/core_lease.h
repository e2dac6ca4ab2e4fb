// Which cores are this process' to use, agreed among the llm-run processes of one user on one host,
// so that two that generate at the same time do not fight for the same ones.
//
// A member has a slot in a table, a small file in /dev/shm: what it wants, and whether it is active
// (generating). Only active members hold cores; how those are divided follows from the table alone
// (sched/core_split.h), so everybody comes to the same answer without asking. While a change has
// not reached everybody, for one Refresh() of each, two may count the same core as theirs.
//
// How: a slot belongs to whoever holds an OFD lock (fcntl(2)) on its bytes, and is written by
// nobody else. The kernel drops the lock with the process, however that ends, so that the dead are
// never counted, and no table lock is needed that somebody could die or be stopped with. Each
// change ends with a new stamp in the header, by which the others see that there is something to
// read again. What others wrote is checked, and read with pread(2): in a mapping, a file that
// somebody truncates would be a fatal signal. A file that was removed (systemd-logind does so when
// the user logs out) is followed by the one that has its name.
//
// Fork: the lock is the open file's, and a child that does not exec has that open, too: while such
// a child lives, the slot of a dead parent counts as alive.
//
// Ownership: the file stays when all are gone; it has 129 KiB at most. Threads: Single-thread.
// Failure: Join() fails when the file is not ours or not such a table, and when all slots are
// taken.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sched/core_split.h"

namespace llmrun {

struct CoreLeaseOptions {
  std::string path;  // see CoreLease::DefaultPath()
  CoreClaim claim;   // at least one CPU, at least one wanted
  // How often Refresh() looks for members that died without a word.
  std::chrono::milliseconds look_interval{500};
};

class CoreLease {
 public:
  static constexpr size_t kMaxMembers = 64;
  static constexpr size_t kMaxCpus = 1024;  // in a claim
  static constexpr unsigned kMaxCpuNumber = 65535;

  // /dev/shm/llm-run-cores-UID, of the effective user.
  static std::string DefaultPath();

  // Becomes a member, not active yet. Creates the file when there is none.
  static Result<std::unique_ptr<CoreLease>> Join(CoreLeaseOptions options);
  // Leaves. Others notice at their next Refresh().
  ~CoreLease();
  CoreLease(const CoreLease&) = delete;
  CoreLease& operator=(const CoreLease&) = delete;

  // Asks for our share, or gives it back. cpus() has changed afterwards. On failure nothing has.
  Status SetActive(bool active);
  // What is ours now, in the order of the claim: at least one CPU while active, none while not.
  const std::vector<unsigned>& cpus() const { return cpus_; }
  // Reads the table again if it has changed or the look interval is over; true: cpus() has changed.
  // To be called between two pieces of work: otherwise it costs one short system call.
  bool Refresh();
  // Active members as of the last reading, this one included.
  size_t members() const { return members_; }

 private:
  explicit CoreLease(CoreLeaseOptions options) : options_(std::move(options)) {}

  Status Enter();
  Status WriteSlot(int fd, size_t slot, bool active) const;
  void WriteStamp(int fd, size_t slot) const;
  uint64_t ReadStamp() const;
  void FollowPath();
  std::optional<CoreClaim> ReadActiveClaim(size_t slot) const;
  bool Look();

  const CoreLeaseOptions options_;
  UniqueFd fd_;
  size_t slot_ = 0;
  bool active_ = false;
  std::vector<unsigned> cpus_;
  size_t members_ = 0;
  uint64_t seen_stamp_ = 0;
  std::chrono::steady_clock::time_point looked_at_;
};

}  // namespace llmrun
