// Weights left resident: what is attached are the bytes of the file, what no longer fits is refused
// with its reason, and nothing is left behind.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/small_file.h"
#include "loader/resident/attach.h"
#include "tests/loader/plan_index.h"
#include "tests/loader/resident_support.h"
#include "tests/memory/hugepool_lock.h"

namespace llmrun {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

ResidentManifest SomeManifest() {
  return {.layout_version = kImageLayoutVersion,
          .parts = {{.path = "/models/a \"b\" \xC3\xA4.gguf",
                     .identity = {.device = 1,
                                  .inode = UINT64_MAX,
                                  .bytes = 3,
                                  .modified_seconds = -5,
                                  .modified_nanoseconds = 999'999'999},
                     .header_bytes = 7,
                     .header_xxh3 = 0xFEDCBA9876543210},
                    {.path = "/models/b.gguf", .identity = {}, .header_bytes = 1}},
          .numa = {.mode = NumaMode::kShard},
          .nodes = {0, 3},
          .shares = {8, 1},
          .data = {{.image_bytes = 8192,
                    .pages = PageKind::k2M,
                    .path = "/mnt/x/y.weights",
                    .inode = 11,
                    .bytes = 2097152},
                   {.image_bytes = 1, .path = "/mnt/x/z.weights", .inode = 12, .bytes = 4096}},
          .xxh3 = 12,
          .pid = 13,
          .created_seconds = 14};
}

TEST(ResidentManifest, ComesBackAsItWas) {
  const ResidentManifest manifest = SomeManifest();
  const auto back = ParseManifest(ToJson(manifest), "m.json");
  ASSERT_TRUE(back) << back.error().OneLine();
  EXPECT_EQ(*back, manifest);
}

TEST(ResidentManifest, EveryFieldIsWanted) {
  const std::string json = ToJson(SomeManifest());
  for (const char* field : {"layout_version",
                            "packing_version",
                            "parts",
                            "path",
                            "device",
                            "inode",
                            "bytes",
                            "modified_seconds",
                            "modified_nanoseconds",
                            "header_bytes",
                            "header_xxh3",
                            "numa",
                            "nodes",
                            "shares",
                            "data",
                            "image_bytes",
                            "pages",
                            "data_path",
                            "data_inode",
                            "data_bytes",
                            "xxh3",
                            "pid",
                            "created_seconds"}) {
    const std::string key = fmt::format("\"{}\":", field);
    std::string without = json;
    without.replace(without.find(key) + 1, 1, "_");
    const auto parsed = ParseManifest(without, "m.json");
    ASSERT_FALSE(parsed) << field;
    EXPECT_EQ(parsed.error().code, ErrorCode::kBadData);
    EXPECT_THAT(parsed.error().message, HasSubstr("m.json"));
  }
  for (size_t n = 0; n + 2 < json.size(); ++n) {
    EXPECT_FALSE(ParseManifest(json.substr(0, n), "m.json")) << n;
  }
  for (const char* other : {"[]", "3", "{}", "null", "{\"parts\":[]}", "{\"parts\":[1]}"}) {
    EXPECT_FALSE(ParseManifest(other, "m.json")) << other;
  }
}

TEST(Resident, AttachesTheSameBytesWithoutReading) {
  const ResidentModel model;
  for (const LoaderKind loader : {LoaderKind::kRead, LoaderKind::kIoUring, LoaderKind::kSplice}) {
    SCOPED_TRACE(NameOf(loader));
    const auto stored = LoadIntoStore(model.index, ThisMachine(), model.Options(loader));
    ASSERT_TRUE(stored) << stored.error().OneLine();
    ASSERT_TRUE(stored->report);
    EXPECT_EQ(stored->report->xxh3, model.hash);
    EXPECT_EQ(stored->store.manifest.xxh3, model.hash);
    const auto report = model.Load(LoaderKind::kResident);
    ASSERT_TRUE(report) << report.error().OneLine();
    EXPECT_EQ(report->loader, "resident");
    EXPECT_EQ(report->requested, "resident");
    EXPECT_EQ(report->xxh3, model.hash);
    EXPECT_EQ(report->copies, 0.0);
    EXPECT_EQ(report->read_bytes, model.index.total_bytes());
    EXPECT_EQ(report->residency.bytes_absent, 0U);
    EXPECT_EQ(report->residency.bytes_4k + report->residency.bytes_thp,
              stored->store.manifest.DataBytes());
    EXPECT_THAT(report->fallbacks, IsEmpty());
    EXPECT_GT(report->time_to_first_layer_seconds, 0.0);
    EXPECT_LE(report->time_to_first_layer_seconds, report->seconds);
    EXPECT_THAT(DropStores(model.dir.Open(), model.path).value(), SizeIs(1));
  }
}

TEST(Resident, ModelsInSeveralParts) {
  const TempTree tree;
  const TempStoreDir dir;
  const TensorIndex index = OpenModel(WriteSplitModel(tree, 3)).value();
  LoadOptions options{.hugepages = HugePages::kOff, .resident_dir = dir.path()};
  const auto stored = LoadIntoStore(index, ThisMachine(), options);
  ASSERT_TRUE(stored) << stored.error().OneLine();
  EXPECT_THAT(stored->store.manifest.parts, SizeIs(3));
  options.loader = LoaderKind::kResident;
  EXPECT_EQ(LoadAll(index, options).value().xxh3, HashOfFiles(index));
  // Each part is looked at.
  ASSERT_EQ(utimes(tree.Path("m-00003-of-00003.gguf").c_str(), nullptr), 0);
  const auto refused = LoadAll(index, options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("m-00003-of-00003.gguf: time of modification"));
}

TEST(Resident, EveryLatchIsOpenAtOnce) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const auto weights =
      StartLoad(model.index, ThisMachine(), model.Options(LoaderKind::kResident)).value();
  for (GroupId group = 0; group < model.index.group_count(); ++group) {
    EXPECT_TRUE(weights->GroupReady(group)) << group;
  }
  EXPECT_TRUE(weights->plan().loader == LoaderKind::kResident);
  const auto report = weights->Finish();
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->hashed);
}

TEST(Resident, ASecondLoadFindsTheFirst) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const std::vector<std::string> files = model.dir.Files("");
  const auto again = model.Store();
  ASSERT_TRUE(again) << again.error().OneLine();
  EXPECT_FALSE(again->report);
  EXPECT_EQ(model.dir.Files(""), files);
}

TEST(Resident, AutoAttachesWhereItMayLook) {
  const ResidentModel model;
  EXPECT_NE(model.Load(LoaderKind::kAuto).value().loader, "resident");  // nothing there: no note
  EXPECT_THAT(model.Load(LoaderKind::kAuto).value().fallbacks, IsEmpty());
  ASSERT_TRUE(model.Store());
  const LoadReport report = model.Load(LoaderKind::kAuto).value();
  EXPECT_EQ(report.loader, "resident");
  EXPECT_EQ(report.requested, "auto");
  EXPECT_EQ(model.Load(LoaderKind::kRead).value().loader, "read");
  EXPECT_NE(LoadAll(model.index, {.loader = LoaderKind::kAuto}).value().loader, "resident");
}

TEST(Resident, NoStoreIsUnavailable) {
  const ResidentModel model;
  const auto report = model.Load(LoaderKind::kResident);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(report.error().fix, HasSubstr("llm-run resident load -m "));
}

TEST(Resident, TwoShareTheMemoryAndKeepItWhenItIsDropped) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const LoadOptions options = model.Options(LoaderKind::kResident);
  const auto one = StartLoad(model.index, ThisMachine(), options).value();
  const auto two = StartLoad(model.index, ThisMachine(), options).value();
  ASSERT_TRUE(one->Finish());
  ASSERT_TRUE(two->Finish());
  EXPECT_NE(one->View(TensorId{0}).data, two->View(TensorId{0}).data);
  EXPECT_THAT(DropStores(model.dir.Open(), std::nullopt).value(), SizeIs(1));
  EXPECT_THAT(model.dir.Files(""), IsEmpty());
  EXPECT_EQ(HashAll(*one, 1), model.hash);
  EXPECT_EQ(HashAll(*two, 1), model.hash);
  EXPECT_FALSE(model.Load(LoaderKind::kResident));
}

void ReplaceInFile(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = ReadSmallFile(path).value();
  const size_t at = text.find(from);
  ASSERT_NE(at, text.npos) << from;
  text.replace(at, from.size(), to);
  std::ofstream(path) << text;
}

void SetModified(const std::string& path, timespec time) {
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, time};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

// Stale for that reason: refused when asked for, another load with a note when not, shown by the
// list, and replaced by the next load.
void ExpectStale(const ResidentModel& model, const std::string& reason,
                 bool model_is_there = true) {
  SCOPED_TRACE(reason);
  const std::vector<ResidentStore> stores = ListStores(model.dir.Open()).value();
  ASSERT_THAT(stores, SizeIs(1));
  EXPECT_THAT(stores[0].stale, HasSubstr(reason));
  if (!model_is_there) return;
  const TensorIndex index = OpenModel(model.path).value();  // the file may be another one
  const auto refused = LoadAll(index, model.Options(LoaderKind::kResident));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr(reason));
  EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("\n")));
  EXPECT_THAT(refused.error().fix, HasSubstr("llm-run resident load"));
  const auto loaded = LoadAll(index, model.Options(LoaderKind::kAuto));
  ASSERT_TRUE(loaded) << loaded.error().OneLine();
  EXPECT_NE(loaded->loader, "resident");
  EXPECT_EQ(loaded->xxh3, HashOfFiles(index));
  ASSERT_FALSE(loaded->fallbacks.empty());
  EXPECT_THAT(loaded->fallbacks[0].why, HasSubstr(reason));

  const auto replaced = LoadIntoStore(index, ThisMachine(), model.Options(LoaderKind::kAuto));
  ASSERT_TRUE(replaced) << replaced.error().OneLine();
  EXPECT_TRUE(replaced->report);
  EXPECT_THAT(model.dir.Files(kDataSuffix), SizeIs(1));
  EXPECT_THAT(model.dir.Files(".json"), SizeIs(1));
  const auto attached = LoadAll(index, model.Options(LoaderKind::kResident));
  ASSERT_TRUE(attached) << attached.error().OneLine();
  EXPECT_EQ(attached->xxh3, HashOfFiles(index));
}

TEST(ResidentStale, TheModelChanged) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  SetModified(model.path, {.tv_sec = 1, .tv_nsec = 5});
  ExpectStale(model, "time of modification was ");
  SetModified(model.path, {.tv_sec = 1, .tv_nsec = 6});
  ExpectStale(model, "time of modification was 1.000000005, is 1.000000006");

  fs::copy_file(model.path, model.path + ".copy");
  fs::rename(model.path + ".copy", model.path);
  ExpectStale(model, "inode was ");

  std::ofstream(model.path, std::ios::app) << "more";
  ExpectStale(model, "size was ");

  // Another header in place, with the time set back.
  struct stat before = {};
  ASSERT_EQ(stat(model.path.c_str(), &before), 0);
  const std::string header = ReadSmallFile(model.path).error().message;  // larger than 1 MiB
  ASSERT_THAT(header, HasSubstr("larger"));
  {
    std::fstream file(model.path, std::ios::in | std::ios::out | std::ios::binary);
    std::string text(4096, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    const size_t at = text.find("general.name");
    ASSERT_NE(at, text.npos);
    file.seekp(static_cast<std::streamoff>(at));
    file << "general.namX";
  }
  SetModified(model.path, before.st_mtim);
  ExpectStale(model, "hash of its header was ");

  fs::remove(model.path);
  ExpectStale(model, "No such file", false);
  EXPECT_THAT(DropStores(model.dir.Open(), model.path).value(), SizeIs(1));  // by its path alone
  EXPECT_THAT(model.dir.Files(""), IsEmpty());
}

TEST(ResidentStale, TheStoreChanged) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const auto manifest = [&] { return model.dir.Files(".json").front(); };
  const auto data = [&] { return model.dir.Files(kDataSuffix).front(); };

  ReplaceInFile(manifest(), fmt::format("\"layout_version\": {}", kImageLayoutVersion),
                "\"layout_version\": 77");
  ExpectStale(model, fmt::format("version of the layout was 77, is {}", kImageLayoutVersion));
  ReplaceInFile(manifest(), "\"device\": ", "\"device\": 9");
  ExpectStale(model, "device was 9");
  ReplaceInFile(manifest(), "\"pages\": \"4K\"", "\"pages\": \"2M\"");
  ExpectStale(model, "kind of pages was 2M, is 4K");
  ASSERT_EQ(truncate(data().c_str(), 4096), 0);
  ExpectStale(model, ": size was ");
  fs::copy_file(data(), data() + ".copy");
  fs::rename(data() + ".copy", data());
  ExpectStale(model, ": inode was ");
  fs::remove(data());
  ExpectStale(model, "the weights are gone");
  std::ofstream(manifest()) << "{ half";
  ExpectStale(model, "not a manifest");
  if (geteuid() != 0) return;
  ASSERT_EQ(chown(data().c_str(), 65534, 65534), 0);
  ExpectStale(model, "owner was 0, is 65534");
}

TEST(ResidentStale, AnImageOfOtherSizeIsRefused) {
  const ResidentModel model;
  const uint64_t bytes = model.Store().value().store.manifest.data[0].image_bytes;
  ReplaceInFile(model.dir.Files(".json").front(), fmt::format("\"image_bytes\": {}", bytes),
                fmt::format("\"image_bytes\": {}", bytes - 4096));
  const auto refused = model.Load(LoaderKind::kResident);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("image of "));
}

TEST(ResidentDir, OnlyFoldersThatAreOursAlone) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const std::string& dir = model.dir.path();
  const auto refused = [&](const std::string& reason) {
    const auto attached = model.Load(LoaderKind::kResident);
    ASSERT_FALSE(attached);
    EXPECT_EQ(attached.error().code, ErrorCode::kUnavailable);
    EXPECT_THAT(attached.error().message, HasSubstr(reason));
    EXPECT_FALSE(model.Store());
    EXPECT_EQ(model.Load(LoaderKind::kAuto).value().xxh3, model.hash);
  };
  ASSERT_EQ(chmod(dir.c_str(), 0720), 0);
  refused("others may write to it");
  ASSERT_EQ(chmod(dir.c_str(), 0702), 0);
  refused("others may write to it");
  ASSERT_EQ(chmod(dir.c_str(), 0755), 0);
  EXPECT_TRUE(model.Load(LoaderKind::kResident));
  if (geteuid() == 0) {
    ASSERT_EQ(chown(dir.c_str(), 65534, 65534), 0);
    refused("belongs to user 65534");
    ASSERT_EQ(chown(dir.c_str(), 0, 0), 0);
  }
  const std::string link = dir + "/link";
  ASSERT_EQ(symlink(dir.c_str(), link.c_str()), 0);
  EXPECT_FALSE(StoreDir::Open(link));
  EXPECT_FALSE(StoreDir::Make(model.path));         // a file
  EXPECT_FALSE(StoreDir::Make(dir + "/no/where"));  // its parent is missing
  EXPECT_FALSE(StoreDir::Open(dir + "/no").value());
}

TEST(ResidentDir, MountsAreReadAsTheKernelWritesThem) {
  const TempTree tree;
  tree.Write("mounts", "proc /proc proc rw 0 0\nnone /no/such\\040place hugetlbfs rw 0 0\nx\n");
  EXPECT_THAT(HugetlbMounts(tree.Path("mounts")), IsEmpty());
  EXPECT_THAT(MountCommand(PageKind::k1G), HasSubstr("mount -t hugetlbfs -o pagesize=1G"));
}

TEST(Resident, LeftoversAreRemovedAndOthersStay) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  const StoreDir dir = model.dir.Open();
  const std::string leftover = fmt::format("{}/{}-1-2{}", dir.path(), dir.tag(), kDataSuffix);
  const std::string half = dir.path() + "/0123.json.77.tmp";
  const std::string other = dir.path() + "/other" + kDataSuffix;
  for (const std::string& path : {leftover, half, other}) std::ofstream(path) << "x";
  EXPECT_THAT(ListStores(dir).value(), SizeIs(1));
  EXPECT_FALSE(fs::exists(leftover));
  EXPECT_FALSE(fs::exists(half));
  EXPECT_TRUE(fs::exists(other));
  EXPECT_EQ(model.Load(LoaderKind::kResident).value().xxh3, model.hash);
}

TEST(Resident, WishesThatAreNotMetAreSaid) {
  const ResidentModel model;
  ASSERT_TRUE(model.Store());
  LoadOptions options = model.Options(LoaderKind::kResident);
  options.hugepages = HugePages::k2M;
  options.numa = BindTo(0);
  const LoadReport report = LoadAll(model.index, options).value();
  EXPECT_EQ(report.xxh3, model.hash);
  ASSERT_THAT(report.fallbacks, SizeIs(2));
  EXPECT_EQ(report.fallbacks[0].wanted, "2M pages");
  EXPECT_EQ(report.fallbacks[1].wanted, "--numa=bind:0");
  options.policy = HugePagesPolicy::kRequire;
  const auto refused = LoadAll(model.index, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("--hugepages=2M is required"));
}

// Images outlive the binary that laid them: whoever changes the numbers below raises
// kImageLayoutVersion.
TEST(Resident, LayoutOfVersion1) {
  const TensorIndex index =
      MakeIndex({{.file_bytes = 400'000,
                  .tensors = {{"token_embd", 100, 5'000},
                              {"blk.0.a", 5'132, 60'000},
                              {"blk.0.b", 200'000, 10}}},
                 {.file_bytes = 9'000, .tensors = {{"output", 4'097, 4'096}}}});
  const PlacementPlan plan = PlanImages(index, LoaderKind::kRead, {}, {});
  EXPECT_EQ(kImageLayoutVersion, 1U);
  ASSERT_THAT(plan.arenas, SizeIs(1));
  EXPECT_EQ(plan.arenas[0].bytes, 77'824U);
  std::vector<uint64_t> offsets;
  for (uint32_t i = 0; i < index.tensors().size(); ++i) {
    offsets.push_back(ArenaOffset(plan, PartsOf(plan, TensorId{i}).front()));
  }
  EXPECT_THAT(offsets, testing::ElementsAre(100, 5'132, 68'928, 69'633));
}

TEST(Resident, LoadersThatMapHaveNothingToLeave) {
  const ResidentModel model;
  for (const LoaderKind loader : {LoaderKind::kMmap, LoaderKind::kResident}) {
    const auto stored = LoadIntoStore(model.index, ThisMachine(), model.Options(loader));
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, ErrorCode::kUsage);
  }
  EXPECT_EQ(PlanPlacement(model.index, ThisMachine(), model.Options(LoaderKind::kResident), {})
                .error()
                .code,
            ErrorCode::kUsage);
}

TEST(Resident, LoadsAtTheSameTimeLeaveOneStore) {
  const ResidentModel model;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(model.Store()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(model.dir.Files(""), SizeIs(2));
  EXPECT_EQ(model.Load(LoaderKind::kResident).value().xxh3, model.hash);
}

// A hugetlbfs of the test's own; unmounted at the end.
class TempHugetlbfs {
 public:
  TempHugetlbfs() {
    mounted_ = mount("none", tree_.root().c_str(), "hugetlbfs", 0, "pagesize=2M") == 0;
  }
  ~TempHugetlbfs() {
    if (mounted_ && umount(tree_.root().c_str()) != 0) ADD_FAILURE() << "umount";
  }
  bool mounted() const { return mounted_; }

 private:
  const TempTree tree_;
  bool mounted_ = false;
};

TEST(ResidentHugetlb, LiesIn2MPages) {
  const HugePoolLease pool(PageKind::k2M, 6);  // a store, and the one that replaces it
  if (!pool.why_not().empty()) GTEST_SKIP() << pool.why_not();
  const TempHugetlbfs hugetlbfs;
  if (!hugetlbfs.mounted()) GTEST_SKIP() << "no permission to mount a hugetlbfs";
  const ResidentModel model;
  LoadOptions options = model.Options(LoaderKind::kAuto);
  options.hugepages = HugePages::k2M;
  for (int round = 0; round < 2; ++round) {
    SetModified(model.path, {.tv_sec = round + 1, .tv_nsec = 0});
    const Machine machine = DetectMachine().value();  // with the pool as it is now
    const auto stored = LoadIntoStore(model.index, machine, options);
    ASSERT_TRUE(stored) << stored.error().OneLine();
    EXPECT_THAT(stored->report->fallbacks, IsEmpty());
    EXPECT_EQ(stored->store.manifest.Pages(), PageKind::k2M);
    EXPECT_EQ(stored->store.manifest.DataBytes(), 3 * PageBytes(PageKind::k2M));
    EXPECT_EQ(stored->report->residency.bytes_2m, stored->store.manifest.DataBytes());
    EXPECT_THAT(model.dir.Files(kDataSuffix), IsEmpty());
    options.loader = LoaderKind::kResident;
    const auto report = LoadAll(model.index, options);
    ASSERT_TRUE(report) << report.error().OneLine();
    EXPECT_EQ(report->xxh3, model.hash);
    EXPECT_EQ(report->residency.bytes_2m, stored->store.manifest.DataBytes());
    EXPECT_THAT(report->fallbacks, IsEmpty());
    options.loader = LoaderKind::kAuto;
  }
  EXPECT_THAT(DropStores(model.dir.Open(), std::nullopt).value(), SizeIs(1));
}

TEST(ResidentHugetlb, WithoutPagesTheStoreIsOnTmpfs) {
  const HugePoolLock lock;
  const ResidentModel model;
  LoadOptions options = model.Options(LoaderKind::kAuto);
  options.hugepages = HugePages::k2M;
  Machine machine = ThisMachine();
  for (NumaNode& node : machine.nodes) node.pool_2m.free_pages = 0;
  const auto stored = LoadIntoStore(model.index, machine, options);
  ASSERT_TRUE(stored) << stored.error().OneLine();
  ASSERT_THAT(stored->report->fallbacks, SizeIs(1));
  EXPECT_EQ(stored->report->fallbacks[0].wanted, "2M pages");
  EXPECT_EQ(stored->report->fallbacks[0].got, "pages of tmpfs");
  EXPECT_FALSE(stored->report->fallbacks[0].fix.empty());
  EXPECT_EQ(model.Load(LoaderKind::kResident).value().xxh3, model.hash);
}

TEST(Resident, WhatDoesNotFitIsRefusedBeforeItIsTouched) {
  const ResidentModel model;
  Machine machine = ThisMachine();
  machine.available_bytes = 1 << 20;
  const auto stored = LoadIntoStore(model.index, machine, model.Options(LoaderKind::kAuto));
  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().code, ErrorCode::kResource);
  EXPECT_THAT(model.dir.Files(""), IsEmpty());
}

}  // namespace
}  // namespace llmrun
