#include "loader/weights.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/stopwatch.h"
#include "loader/io/start_thread.h"
#include "loader/io/stream_backend.h"
#include "loader/weights_impl.h"
#include "memory/cpu_time.h"
#include "memory/lock_memory.h"

namespace llmrun {
namespace {

// The plan leaves room for direct reads of any alignment that files are opened with.
static_assert(kMaxDirectAlignment <= kImageAlignment);

// More readers than this do not help any device we know; fewer CPUs than this starve it.
constexpr int kMaxChosenThreads = 8;
constexpr int kPopulateThreads = 2;

// The CPUs of the node that weights are bound to; empty when they may lie on several.
std::vector<unsigned> CpusOfNode(const Machine& machine, const NodeSet& nodes) {
  const std::optional<unsigned> node = OnlyNode(nodes);
  return node ? CpusOf(machine, *node) : std::vector<unsigned>();
}

std::optional<uint64_t> SumIfKnown(std::optional<uint64_t> a, std::optional<uint64_t> b) {
  return a && b ? std::optional(*a + *b) : std::nullopt;
}

void Append(std::vector<Fallback> more, std::vector<Fallback>* all) {
  all->insert(all->end(), std::make_move_iterator(more.begin()),
              std::make_move_iterator(more.end()));
}

}  // namespace

Weights::Impl::~Impl() {
  cancelled = true;
  if (loading_thread.joinable()) loading_thread.join();
  copies.reset();    // its threads call Arrived()
  verifier.reset();  // these give to the packer
}

Status Weights::Impl::OpenFiles() {
  if (options.stream != nullptr) {
    const GgufFile& parsed = index.files().front();
    ModelFile none;  // open: the reads come from the stream
    none.label = parsed.label;
    files.push_back(std::move(none));
    report.cached_bytes_before.reset();
    report.file_bytes = parsed.file_bytes;
    return {};
  }
  for (const GgufFile& parsed : index.files()) {
    ASSIGN_OR_RETURN(ModelFile file, OpenModelFile(parsed.label, parsed.file_bytes));
    std::optional<uint64_t> cached_bytes;  // asking takes time with the size of the file
    if (!given.filled) {
      ASSIGN_OR_RETURN(cached_bytes, CachedBytes(file.fd.get(), file.identity.bytes));
    }
    report.cached_bytes_before = SumIfKnown(report.cached_bytes_before, cached_bytes);
    report.file_bytes += file.identity.bytes;
    files.push_back(std::move(file));
  }
  return {};
}

// As planned; pages of the pools need no lock.
uint64_t Weights::Impl::BytesToLock() const {
  if (plan.mapped) return report.file_bytes;
  uint64_t bytes = 0;
  for (const ArenaPlan& arena : plan.arenas) {
    for (const PageTile& tile : arena.tiles) bytes += IsHugetlb(tile.kind) ? 0 : tile.bytes;
  }
  return bytes;
}

Status Weights::Impl::ReserveMemory() {
  if (plan.mapped) {
    for (const ModelFile& file : files) {
      ASSIGN_OR_RETURN(MappedFile mapping,
                       MappedFile::Map(file.fd.get(), file.identity.bytes, file.label));
      bases.push_back(mapping.bytes().data());
      mappings.push_back(std::move(mapping));
    }
    return {};
  }
  if (!given.arenas.empty()) {
    CHECK(given.arenas.size() == plan.arenas.size());
    report.populate_seconds = given.populate_seconds;
    for (size_t i = 0; i < given.arenas.size(); ++i) {
      CHECK(given.arenas[i].size_bytes() >= plan.arenas[i].bytes);
      bases.push_back(given.arenas[i].data());
    }
    arenas = std::move(given.arenas);
    return {};
  }
  for (const ArenaPlan& planned : plan.arenas) {
    ASSIGN_OR_RETURN(Arena arena, Arena::Reserve({.tiles = planned.tiles,
                                                  .nodes = planned.nodes,
                                                  .policy = options.policy,
                                                  .touch_later = true}));
    bases.push_back(arena.data());
    arenas.push_back(std::move(arena));
  }
  return {};
}

Status Weights::Impl::Prepare() {
  start_cpu_seconds = ProcessCpuSeconds();
  start_stolen_seconds = StolenCpuSeconds();
  RETURN_IF_ERROR(Validate(options));
  report.requested = NameOf(options.loader);
  report.hugepages_requested = NameOf(options.hugepages);
  report.numa_requested = NameOf(options.numa);
  report.read_bytes = index.total_bytes();
  const Stopwatch planning;
  RETURN_IF_ERROR(OpenFiles());
  const PlanInputs inputs{.cached_bytes = report.cached_bytes_before.value_or(0)};
  if (!given.arenas.empty()) {
    plan = PlanImages(index, given.filled ? LoaderKind::kResident : options.loader, inputs,
                      given.images);
  } else {
    ASSIGN_OR_RETURN(plan, PlanPlacement(index, machine, options, inputs));
  }
  if (given.filled) {
    reads.group_reads.resize(index.group_count());  // no reads: every group is there
  } else {
    BackendLimits limits = LoadLimits(options.chunk_bytes);
    limits.in_file_order = options.stream != nullptr;
    reads = PlanReads(index, plan, limits);
  }
  report.plan_seconds = planning.Seconds();
  Append(std::move(given.fallbacks), &report.fallbacks);
  Append(plan.fallbacks, &report.fallbacks);
  report.numa = NameOf(plan.numa);
  report.numa_rule = plan.numa_rule;
  ChoosePacked();
  gate.emplace(StepsOfGroups(), since_start);
  progress.emplace(options.progress, reads.total_bytes, since_start);
  arrivals.emplace(index, reads);
  if (options.mlock) RETURN_IF_ERROR(CheckLockable(BytesToLock()));
  RETURN_IF_ERROR(ReserveMemory());
  FindPieces();
  return {};
}

Status Weights::Impl::Start() {
  RETURN_IF_ERROR(StartPacker());
  if (options.hash || options.on_tensor) RETURN_IF_ERROR(StartVerifier());
  RETURN_IF_ERROR(StartCopies());
  ASSIGN_OR_RETURN(loading_thread,
                   StartThread("loading", CpusOfNode(machine, plan.nodes), [this] { Load(); }));
  return {};
}

Status Weights::Impl::StartVerifier() {
  ASSIGN_OR_RETURN(verifier,
                   Verifier::Start({.tensors = index.tensors().size(),
                                    .hash = options.hash,
                                    .check = options.on_tensor,
                                    .threads = std::max(1, machine.effective_cpus / 2),
                                    .cpus = CpusOfNode(machine, plan.nodes),
                                    .tensor = [this](TensorId id) { return AsInFile(id); },
                                    .looked = [this](TensorId id) { Looked(id); }}));
  for (const TensorId id : arrivals->empty()) verifier->Complete(id);
  return {};
}

std::vector<std::vector<unsigned>> Weights::Impl::CpusOfArenas() const {
  std::vector<std::vector<unsigned>> cpus;
  for (const ArenaPlan& arena : plan.arenas) cpus.push_back(CpusOfNode(machine, arena.nodes));
  return cpus;
}

Status Weights::Impl::StartCopies() {
  if (!plan.mirrored) return {};
  ASSIGN_OR_RETURN(copies,
                   MirrorCopies::Start({.reads = reads,
                                        .arenas = arenas,
                                        .cpus = CpusOfArenas(),
                                        .threads = kPopulateThreads,
                                        .arrived = [this](size_t read) { Arrived(read); }}));
  return {};
}

int Weights::Impl::Threads() const {
  if (plan.mapped || plan.loader == LoaderKind::kSplice) {
    const int chosen = std::min(kPopulateThreads, machine.effective_cpus);
    return options.io_threads > 0 ? options.io_threads : chosen;
  }
  const int chosen = std::min(kMaxChosenThreads, machine.effective_cpus);
  return options.io_threads > 0 ? options.io_threads : chosen;
}

Result<FillResult> Weights::Impl::Fill() {
  if (given.filled) return FillResult{.loader = std::string(NameOf(plan.loader))};
  const FillJob job{.loader = plan.loader,
                    .reads = reads,
                    .files = files,
                    .threads = Threads(),
                    .queue_depth = options.queue_depth,
                    .request_bytes = options.chunk_bytes,
                    .io_poll = options.io_poll,
                    .tune = options.tune,
                    .cpus = CpusOfNode(machine, plan.nodes),
                    .use_cache = options.loader == LoaderKind::kAuto,
                    .populate_threads = std::min(kPopulateThreads, machine.effective_cpus),
                    .arena_cpus = CpusOfArenas(),
                    .landed = [this](size_t read) { Landed(read); },
                    .tick = [this] { progress->Tick(); },
                    .trace = options.trace,
                    .cache_nodes = plan.mapped ? plan.nodes : NodeSet(),
                    .cancelled = cancelled};
  return plan.mapped ? FillMapped(job, mappings) : FillArenas(job, arenas, make_backend);
}

void Weights::Impl::Landed(size_t read) {
  if (copies) {
    copies->Landed(read);
  } else {
    Arrived(read);
  }
}

// The bytes of a read are wherever they are wanted.
void Weights::Impl::Arrived(size_t read) {
  progress->Add(reads.reads[read].must_bytes);
  gate->Done(reads.groups_of_read[read]);
  for (const TensorId id : arrivals->Landed(read)) {
    if (verifier) {
      verifier->Complete(id);
    } else {
      Looked(id);
    }
  }
}

// The body of the loading thread.
void Weights::Impl::Load() {
  Result<FillResult> filled = Fill();
  if (filled && copies) {
    if (const Status copied = copies->Finish(); !copied) {
      filled = tl::unexpected<Error>(copied.error());
    }
  }
  if (filled && packer) {
    packer->Finish();
    report.pack_seconds = packer->seconds();
  }
  if (filled) {
    if (const Status touched = FinishPages(); !touched) {
      filled = tl::unexpected<Error>(touched.error());
    }
  }
  if (!filled) {
    load_error = filled.error();
    gate->Fail(std::move(filled).error());
    return;
  }
  report.loader = filled->loader;
  report.seconds = given.seconds_before + since_start.Seconds();
  report.read_seconds = filled->read_seconds;
  report.io_rings = filled->rings;
  report.io_depth = filled->queue_depth;
  report.io_request_bytes = filled->request_bytes;
  report.io_poll = filled->io_poll;
  report.time_to_first_layer_seconds = given.seconds_before + gate->first_layer_seconds();
  report.cpu_seconds = ProcessCpuSeconds() - start_cpu_seconds;
  const std::optional<double> stolen = StolenCpuSeconds();
  if (stolen && start_stolen_seconds) report.stolen_seconds = *stolen - *start_stolen_seconds;
  const FaultCounts faults = ProcessFaults();
  report.minor_faults = faults.minor - start_faults.minor;
  report.major_faults = faults.major - start_faults.major;
  if (filled->bytes > 0) {
    report.copies = static_cast<double>(filled->copied_bytes) / static_cast<double>(filled->bytes);
  }
  if (copies) report.copies += static_cast<double>(plan.arenas.size() - 1);
  Append(std::move(filled->fallbacks), &report.fallbacks);
  progress->End();
  if (given.when_open) given.when_open();
}

Status Weights::Impl::FinishPages() {
  for (Arena& arena : arenas) {
    RETURN_IF_ERROR(arena.FinishPages());
    report.populate_seconds += arena.populate_seconds();
    Append(arena.fallbacks(), &report.fallbacks);
  }
  return {};
}

Weights::Weights(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Weights::~Weights() = default;

std::span<const TensorPiece> Weights::Pieces(TensorId id) const { return impl_->Pieces(id); }
TensorView Weights::View(TensorId id) const { return impl_->View(id); }

const TensorIndex& Weights::index() const { return impl_->index; }
const PlacementPlan& Weights::plan() const { return impl_->plan; }
bool Weights::packed(TensorId id) const { return impl_->IsPacked(id); }
UnpackedTensor Weights::Unpacked(TensorId id) const { return impl_->Unpacked(id); }
bool Weights::GroupReady(GroupId group) const { return impl_->gate->Ready(group); }
Status Weights::WaitGroup(GroupId group) const { return impl_->gate->Wait(group); }

Status Weights::CheckIntact() const { return impl_->CheckIntact(); }

void Weights::Cancel() { impl_->cancelled = true; }

Result<LoadReport> Weights::Finish() {
  if (!impl_->finished) impl_->finished = impl_->Finish();
  return *impl_->finished;
}

namespace {

Result<std::unique_ptr<Weights>> Begin(std::unique_ptr<Weights::Impl> impl) {
  RETURN_IF_ERROR(impl->Prepare());
  RETURN_IF_ERROR(impl->Start());
  return std::make_unique<Weights>(std::move(impl));
}

}  // namespace

Result<std::unique_ptr<Weights>> StartLoadWith(const TensorIndex& index, const Machine& machine,
                                               const LoadOptions& options,
                                               const BackendFactory& make_backend) {
  return Begin(std::make_unique<Weights::Impl>(index, machine, options, make_backend));
}

namespace {

BackendFactory FactoryFor(const LoadOptions& options) {
  if (options.stream == nullptr) return CreateBackend;
  return [stream = options.stream](LoaderKind, std::span<const BackendFile>,
                                   const BackendOptions& backend) -> Result<BackendChoice> {
    return BackendChoice{.backend = std::make_unique<StreamBackend>(*stream, backend)};
  };
}

}  // namespace

Result<std::unique_ptr<Weights>> StartLoadInto(const TensorIndex& index, const Machine& machine,
                                               const LoadOptions& options, GivenMemory memory) {
  auto impl = std::make_unique<Weights::Impl>(index, machine, options, FactoryFor(options));
  impl->given = std::move(memory);
  return Begin(std::move(impl));
}

}  // namespace llmrun
