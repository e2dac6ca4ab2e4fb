// `llm-run resident` and what other commands make of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "tests/cli/llm.h"

namespace llmrun {
namespace {

using testing::HasSubstr;
using testing::Not;

class StoreFolder {
 public:
  StoreFolder() {
    if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << path_;
  }
  ~StoreFolder() { std::filesystem::remove_all(path_); }
  StoreFolder(const StoreFolder&) = delete;
  StoreFolder& operator=(const StoreFolder&) = delete;
  const std::string& path() const { return path_; }
  std::vector<std::pair<std::string, std::string>> env() const {
    return {{"LLMRUN_RESIDENT_DIR", path_}};
  }

 private:
  std::string path_ = "/dev/shm/llmrun-cli-resident-XXXXXX";
};

ProcessResult RunOnce(const StoreFolder& folder, const std::string& model,
                      const std::string& loader) {
  return Llm({"-m", model, "-p", "Once", "-n", "4", "--temp", "0", "--loader=" + loader},
             folder.env());
}

TEST(CliResident, LoadListAttachDrop) {
  const StoreFolder folder;
  const auto resident = [&](std::vector<std::string> args) {
    args.insert(args.begin(), "resident");
    args.insert(args.end(), {"--dir", folder.path()});
    return Llm(std::move(args));
  };
  EXPECT_EQ(resident({"list"}).out, "no weights are resident\n");
  ExpectError(RunOnce(folder, kTinyModel, "resident"), 69, "no weights were left resident");

  const ProcessResult load = resident({"load", "-m", kTinyModel, "--hugepages", "off"});
  ASSERT_EQ(load.exit_code, 0) << load.err;
  EXPECT_THAT(load.out, HasSubstr("now resident"));
  EXPECT_THAT(load.err, HasSubstr("copies "));
  const ProcessResult again = resident({"load", "-m", kTinyModel});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("resident already"));

  EXPECT_THAT(resident({"list"}).out, HasSubstr("valid\n"));
  const auto list = nlohmann::json::parse(resident({"list", "--json"}).out);
  ASSERT_EQ(list["stores"].size(), 1U);
  EXPECT_EQ(list["stores"][0]["valid"], true);
  EXPECT_EQ(list["stores"][0]["why_not"], nullptr);
  EXPECT_EQ(list["stores"][0]["pages"], "4K");

  const ProcessResult attached = RunOnce(folder, kTinyModel, "resident");
  EXPECT_EQ(attached.exit_code, 0) << attached.err;
  EXPECT_THAT(attached.err, HasSubstr("load   resident  "));
  EXPECT_EQ(RunOnce(folder, kTinyModel, "read").out, attached.out);
  EXPECT_THAT(RunOnce(folder, kTinyModel, "auto").err, HasSubstr("load   resident  "));

  const ProcessResult drop = resident({"drop", "-m", kTinyModel});
  EXPECT_EQ(drop.exit_code, 0) << drop.err;
  EXPECT_THAT(drop.out, HasSubstr("dropped"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  ExpectError(resident({"drop", "-m", kTinyModel}), 66, "no weights of it are resident");
  EXPECT_EQ(resident({"drop", "--all"}).exit_code, 0);
}

TEST(CliResident, AutoSaysWhyAStoreIsNotUsed) {
  const StoreFolder folder;
  const std::string model = TempPath("resident.gguf");
  std::filesystem::copy_file(kTinyModel, model);
  ASSERT_EQ(Llm({"resident", "load", "-m", model}, folder.env()).exit_code, 0);
  std::filesystem::last_write_time(
      model, std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const ProcessResult run = RunOnce(folder, model, "auto");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("note   wanted the weights left resident, got a load"));
  EXPECT_THAT(run.err, HasSubstr("time of modification was"));
  ExpectError(RunOnce(folder, model, "resident"), 69, "time of modification was");
  EXPECT_THAT(Llm({"resident", "list"}, folder.env()).out, HasSubstr("time of modification was"));
}

TEST(CliResident, VerifyLooksAtTheFile) {
  const StoreFolder folder;
  ASSERT_EQ(Llm({"resident", "load", "-m", kTinyModel}, folder.env()).exit_code, 0);
  EXPECT_THAT(Llm({"verify", "-m", kTinyModel}, folder.env()).err, Not(HasSubstr("resident")));
  EXPECT_THAT(Llm({"verify", "-m", kTinyModel, "--loader=resident"}, folder.env()).err,
              HasSubstr("load   resident  "));
}

TEST(CliResident, Refusals) {
  const StoreFolder folder;
  ExpectError(Llm({"resident", "drop", "--dir", folder.path()}), 64, "was not said");
  ExpectError(Llm({"resident", "load", "--hugepages", "3M", "--dir", folder.path()}), 64, "3M");
  ExpectError(Llm({"resident", "load", "-m", kTinyModel, "--dir", TempPath("disk")}), 64, "tmpfs");
  ExpectError(Llm({"resident", "load", "-m", folder.path() + "/none.gguf"}), 66, "none.gguf");
  ExpectError(Llm({"resident"}), 64, "");
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  ExpectError(Llm({"resident", "list", "--dir", folder.path()}), 69, "others may write");
  ExpectError(Llm({"plan", "-m", kTinyModel, "--loader=resident"}), 64, "places nothing");
}

}  // namespace
}  // namespace llmrun
