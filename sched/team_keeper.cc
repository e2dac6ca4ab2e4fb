#include "sched/team_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace llmrun {
namespace {

constexpr size_t kKeptChanges = 4;

// Without the CPUs that are not in `allowed`; all of them when none would be left.
void KeepOnly(const std::vector<unsigned>& allowed, std::vector<Cpu>* cpus) {
  std::vector<Cpu> kept;
  std::ranges::copy_if(*cpus, std::back_inserter(kept), [&](const Cpu& cpu) {
    return std::ranges::count(allowed, cpu.os_index) > 0;
  });
  if (!kept.empty()) *cpus = std::move(kept);
}

}  // namespace

ThreadPoolOptions PoolOptionsFor(const TeamKeeperOptions& options, const AffinityPlan& plan) {
  ThreadPoolOptions pool;
  pool.threads = std::max(options.prompt_threads, options.decode_threads);
  pool.effective_cpus = options.machine.effective_cpus;
  pool.pin_caller = plan.pinned;
  for (const Cpu& cpu : plan.cpus) {
    pool.cpus.push_back(cpu.os_index);
    pool.nodes.push_back(cpu.node);
  }
  return pool;
}

TeamKeeper::TeamKeeper(ThreadPool& pool, TeamKeeperOptions options)
    : pool_(pool),
      options_(std::move(options)),
      first_limits_(ReadCpuLimits(options_.roots)),
      limits_(first_limits_),
      next_look_(std::chrono::steady_clock::now() + options_.look_interval) {}

Result<std::unique_ptr<TeamKeeper>> TeamKeeper::Create(ThreadPool& pool,
                                                       TeamKeeperOptions options) {
  std::unique_ptr<TeamKeeper> keeper(new TeamKeeper(pool, std::move(options)));
  const TeamKeeperOptions& o = keeper->options_;
  if (o.lease_path) {
    // All that it could use, in the order in which it would.
    ASSIGN_OR_RETURN(
        const AffinityPlan all,
        PlanAffinity(o.machine, o.nodes, o.pin,
                     o.pin.kind == PinMode::Kind::kList ? static_cast<int>(o.pin.cpus.size())
                                                        : static_cast<int>(o.machine.cpus.size())));
    CoreLeaseOptions lease;
    lease.path = *o.lease_path;
    lease.claim.wanted = static_cast<unsigned>(std::max(o.prompt_threads, o.decode_threads));
    lease.look_interval = o.look_interval;
    for (const Cpu& cpu : all.cpus) lease.claim.cpus.push_back(cpu.os_index);
    ASSIGN_OR_RETURN(keeper->lease_, CoreLease::Join(std::move(lease)));
  }
  keeper->MakeTeams();
  return keeper;
}

// The machine with what is left of it, planned anew; the first members work.
TeamKeeper::Made TeamKeeper::TeamOf(int threads) const {
  Machine left = options_.machine;
  if (affinity_) KeepOnly(*affinity_, &left.cpus);
  if (limits_.cpuset) KeepOnly(*limits_.cpuset, &left.cpus);
  if (lease_ != nullptr && active_) KeepOnly(lease_->cpus(), &left.cpus);
  const int most = std::min(static_cast<int>(left.cpus.size()),
                            limits_.quota_cpus.value_or(static_cast<int>(left.cpus.size())));
  threads = std::clamp(threads, 1, std::max(1, most));
  PinMode pin = options_.pin;
  std::erase_if(pin.cpus, [&](unsigned os_index) {
    return std::ranges::count(left.cpus, os_index, &Cpu::os_index) == 0;
  });
  // A list of which nothing is left: wherever there is something.
  if (pin.kind == PinMode::Kind::kList && pin.cpus.empty()) pin.kind = PinMode::Kind::kCores;
  if (pin.kind == PinMode::Kind::kList) {
    threads = std::min(threads, static_cast<int>(pin.cpus.size()));
  }
  std::vector<std::optional<unsigned>> nodes(static_cast<size_t>(pool_.size()));
  std::vector<double> weights(nodes.size(), 0.0);
  std::fill_n(weights.begin(), threads, 1.0);
  Made made;
  const Result<AffinityPlan> plan = PlanAffinity(left, options_.nodes, pin, threads);
  if (plan && plan->pinned) {
    const std::vector<double> speeds = CapacityWeights(plan->cpus, options_.roots.sysfs);
    for (size_t i = 0; i < plan->cpus.size(); ++i) {
      nodes[i] = plan->cpus[i].node;
      weights[i] = speeds[i];
      made.cpus.push_back(plan->cpus[i].os_index);
    }
  }
  made.team = std::make_shared<Team>(std::move(nodes), std::move(weights));
  return made;
}

std::string TeamKeeper::Reason() const {
  const auto cpus = [](size_t n) { return fmt::format("{} CPU{}", n, n == 1 ? "" : "s"); };
  if (lease_ != nullptr && active_ && lease_->members() > 1) {
    return fmt::format("{} processes share the cores", lease_->members());
  }
  if (affinity_is_news_ && affinity_) {
    return fmt::format("their affinity has {} now", cpus(affinity_->size()));
  }
  if (limits_.quota_cpus != first_limits_.quota_cpus && limits_.quota_cpus) {
    return fmt::format("the cgroup grants the time of {} now",
                       cpus(static_cast<size_t>(*limits_.quota_cpus)));
  }
  if (limits_.quota_cpus != first_limits_.quota_cpus) return "the cgroup has no CPU quota any more";
  if (limits_.cpuset != first_limits_.cpuset && limits_.cpuset) {
    return fmt::format("the cpuset has {} now", cpus(limits_.cpuset->size()));
  }
  return lease_ != nullptr ? "nobody shares the cores now" : "the limits of before are back";
}

void TeamKeeper::MakeTeams() {
  const int before = decode_.team ? decode_.team->size() : 0;
  Made decode = TeamOf(options_.decode_threads);
  if (options_.tune_decode && (decode.team->size() != before || decode.cpus != decode_.cpus)) {
    tuner_.emplace(decode.team->size());
  }
  decode_ = std::move(decode);
  fewer_.clear();
  // One team for both is never exchanged.
  prompt_ = options_.prompt_threads == options_.decode_threads ? decode_
                                                               : TeamOf(options_.prompt_threads);
  if (before == 0 || decode_.team->size() == before) return;
  ++n_changes_;
  if (changes_.size() < kKeptChanges) {
    changes_.push_back(fmt::format("{} -> {} threads: {}", before, decode_.team->size(), Reason()));
  }
}

// True when there is something else than before.
bool TeamKeeper::Look() {
  bool changed = lease_ != nullptr && lease_->Refresh();
  const auto now = std::chrono::steady_clock::now();
  if (now < next_look_) return changed;
  next_look_ = now + options_.look_interval;
  // Masks first: a cpuset that is read after them explains what it did to them.
  std::vector<CpuMask> masks = Masks();
  CpuLimits limits = ReadCpuLimits(options_.roots);
  changed |= limits.quota_cpus != limits_.quota_cpus || limits.cpuset != limits_.cpuset;
  limits_ = std::move(limits);
  affinity_is_news_ = CompareAffinity(std::move(masks));
  return changed || affinity_is_news_;
}

std::vector<CpuMask> TeamKeeper::Masks() const {
  std::vector<CpuMask> masks;
  for (const pid_t thread_id : pool_.thread_ids()) {
    masks.push_back(AffinityOf(thread_id).value_or(CpuMask()));
  }
  return masks;
}

// True when somebody moved a thread that works: its mask is what they want for all of them. The
// kernel does so too, when the cpuset no longer has its CPU: to all of the cpuset.
bool TeamKeeper::CompareAffinity(std::vector<CpuMask> masks) {
  if (masks_.empty()) return false;
  for (int i = 0; i < pool_.size(); ++i) {
    const CpuMask& mask = masks[static_cast<size_t>(i)];
    if (!pool_.team()->works(i) || mask.words == masks_[static_cast<size_t>(i)].words) continue;
    affinity_ = CpusIn(mask);
    if (affinity_ == limits_.cpuset) affinity_.reset();
    masks_ = std::move(masks);
    return true;
  }
  return false;
}

const TeamKeeper::Made& TeamKeeper::TeamFor(TeamUse use) {
  if (use == TeamUse::kPrompt) return prompt_;
  if (!tuner_ || tuner_->threads() == tuner_->most()) return decode_;
  const int threads = tuner_->threads();
  const auto found = fewer_.find(threads);
  return found != fewer_.end() ? found->second
                               : fewer_.emplace(threads, TeamOf(threads)).first->second;
}

void TeamKeeper::Prepare(TeamUse use) {
  bool changed = false;
  if (!active_) {
    active_ = true;
    // On failure (a full file system) the cores are used as if nobody shared them.
    changed = lease_ != nullptr && lease_->SetActive(true).has_value();
  }
  if (Look() || changed) MakeTeams();
  const Made& made = TeamFor(use);
  if (pool_.team() == made.team) return;
  pool_.SetTeam(made.team, made.cpus);
  masks_ = Masks();
}

void TeamKeeper::Computed(TeamUse use, double seconds) {
  if (use == TeamUse::kDecode && tuner_) tuner_->Add(seconds);
}

void TeamKeeper::Rest() {
  if (!active_) return;
  active_ = false;
  if (lease_ != nullptr) (void)lease_->SetActive(false);  // it will be taken for active: no harm
}

TeamKeeper::Throttled TeamKeeper::throttled() const {
  const CpuLimits now = ReadCpuLimits(options_.roots);
  const CpuLimits& then = first_limits_;
  return {now.throttled_periods - std::min(now.throttled_periods, then.throttled_periods),
          std::max(0.0, now.throttled_seconds - then.throttled_seconds)};
}

}  // namespace llmrun
