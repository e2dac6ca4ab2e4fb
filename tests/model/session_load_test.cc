// Sessions whose weights arrive while they run, or do not arrive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "model/session.h"
#include "tests/support/loaded_model.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

const std::vector<TokenId> kTokens = {1, 270, 31, 300, 5, 262, 299, 281};
constexpr TinyLlamaSpec kSpec = {.d_model = 128, .n_layers = 8, .d_ff = 256, .dtype = DType::kF16};

std::vector<float> AllLogits(Session& session) {
  const std::span<const float> logits = session.Forward(kTokens, LogitsOf::kAll).value();
  return {logits.begin(), logits.end()};
}

// Logits of kSpec, from weights that were all there.
std::vector<float> Expected() {
  const TempFile file(BuildTinyLlama(kSpec));
  const auto model = LoadedModel::Start(file.path()).value();
  EXPECT_TRUE(model->weights->Finish());
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  return AllLogits(*model->NewSession(*pool, {}).value());
}

// How far the loader may read, and who waits for it. Threads: Thread-safe.
class Permit {
 public:
  void Allow(GroupId group) {
    const std::lock_guard lock(mutex_);
    allowed_ = group;
    changed_.notify_all();
  }
  // False when permission did not come in time.
  bool Await(GroupId group) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return allowed_ >= group; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  GroupId allowed_ = 0;
};

// Reads of one tensor group after the other, each group only when permitted; from `failing_group`
// on, the device is broken. The thread of the test itself, when it reads rows, need not wait.
class SteppedBackend final : public ReadBackend {
 public:
  struct Control {
    Permit permit;
    std::map<uint64_t, GroupId> groups;  // by where their tensors begin in the file
    GroupId failing_group = UINT32_MAX;
    bool rows_fail = false;
    bool late = false;  // permission did not come; read after the load has ended
    std::thread::id test = std::this_thread::get_id();
  };
  SteppedBackend(std::unique_ptr<ReadBackend> inner, Control& control)
      : inner_(std::move(inner)),
        control_(control),
        rows_(std::this_thread::get_id() == control.test) {}

  std::string_view Name() const override { return "stepped"; }
  uint32_t Capacity() const override { return 1; }
  Result<size_t> Submit(std::span<const ReadRequest> batch) override {
    group_ = FirstGroupIn(batch.front().offset, batch.front().bytes);
    tag_ = batch.front().tag;
    if (!rows_) control_.late |= !control_.permit.Await(group_);
    return inner_->Submit(batch.first(1));
  }
  Result<size_t> Reap(std::span<ReadCompletion> completions) override {
    Result<size_t> count = inner_->Reap(completions.first(1));
    const bool fails = rows_ ? control_.rows_fail : group_ >= control_.failing_group;
    if (fails) completions[0] = {tag_, -EIO};
    return count;
  }

  static BackendFactory Factory(Control& control) {
    return [&control](LoaderKind, std::span<const BackendFile> files,
                      const BackendOptions&) -> Result<BackendChoice> {
      ASSIGN_OR_RETURN(BackendChoice choice,
                       CreateBackend(LoaderKind::kRead, files, {.threads = 1}));
      choice.backend = std::make_unique<SteppedBackend>(std::move(choice.backend), control);
      return choice;
    };
  }

 private:
  // The first group that has bytes in a read. Direct reads begin at sectors, hence often in the
  // tensor before the one that is wanted.
  GroupId FirstGroupIn(uint64_t offset, uint64_t bytes) const {
    auto tensor = control_.groups.upper_bound(offset);
    if (tensor != control_.groups.begin()) --tensor;
    GroupId first = tensor->second;
    while (++tensor != control_.groups.end() && tensor->first < offset + bytes) {
      first = std::min(first, tensor->second);
    }
    return first;
  }

  std::unique_ptr<ReadBackend> inner_;
  Control& control_;
  const bool rows_;
  GroupId group_ = 0;
  uint64_t tag_ = 0;
};

// A load of kSpec that goes through a SteppedBackend.
struct SteppedModel {
  SteppedBackend::Control control;
  TempFile file{BuildTinyLlama(kSpec)};
  std::unique_ptr<LoadedModel> loaded;

  explicit SteppedModel(GroupId failing_group = UINT32_MAX) {
    control.failing_group = failing_group;
    const auto note_groups = [this](GgufFile& header) {
      for (const TensorInfo& tensor : header.tensors) {
        control.groups[tensor.file_offset] = GroupOf(tensor.name);
      }
    };
    ModelStart start;
    start.load.chunk_bytes = 4096;
    start.edit = note_groups;
    start.backend = SteppedBackend::Factory(control);
    loaded = LoadedModel::Start(file.path(), start).value();
  }
  ~SteppedModel() { control.permit.Allow(UINT32_MAX); }

  static GroupId GroupOf(const std::string& name) {
    if (!name.starts_with("blk.")) return kSpec.n_layers + 1;
    return 1 + static_cast<GroupId>(std::stoi(name.substr(4)));
  }
};

// The hook that is asked before each layer is what lets the layer be read: if a session waited for
// anything but the layer it is at, permission would come too late.
TEST(SessionLoad, EachLayerWaitsForItsOwnWeightsOnly) {
  const std::vector<float> expected = Expected();
  for (const int threads : {1, 3}) {
    SteppedModel model;
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
    GroupId asked = 0;
    SessionOptions options;
    options.interrupted = [&] {
      const GroupId group = ++asked;
      if (group > 1) {
        EXPECT_TRUE(model.loaded->weights->GroupReady(group - 1));
      }
      EXPECT_FALSE(model.loaded->weights->GroupReady(group));
      model.control.permit.Allow(group);
      return false;
    };
    const auto session = model.loaded->NewSession(*pool, options).value();
    EXPECT_EQ(AllLogits(*session), expected) << threads << " threads";
    EXPECT_EQ(asked, kSpec.n_layers + 1);  // the layers and the output
    EXPECT_TRUE(model.loaded->weights->Finish());
    EXPECT_FALSE(model.control.late);
  }
}

TEST(SessionLoad, FailureEndsTheForwardPass) {
  for (const GroupId failing : {GroupId{0}, GroupId{1}, GroupId{5}, kSpec.n_layers + 1}) {
    for (const int threads : {1, 3}) {
      SteppedModel model(failing);
      model.control.permit.Allow(UINT32_MAX);
      const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
      const auto session = model.loaded->NewSession(*pool, {}).value();
      for (int attempt = 0; attempt < 2; ++attempt) {
        const auto logits = session->Forward(kTokens, LogitsOf::kLast);
        ASSERT_FALSE(logits) << "group " << failing;
        EXPECT_EQ(logits.error().code, ErrorCode::kOs) << logits.error().OneLine();
        EXPECT_THAT(logits.error().message, HasSubstr(model.file.path()));
        EXPECT_FALSE(session->interrupted());
        EXPECT_EQ(session->position(), 0);
      }
    }
  }
}

TEST(SessionLoad, EmbeddingsThatCannotBeReadEndTheForwardPass) {
  SteppedModel model;
  model.control.rows_fail = true;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(2);
  const auto session = model.loaded->NewSession(*pool, {}).value();
  const auto logits = session->Forward(kTokens, LogitsOf::kLast);
  ASSERT_FALSE(logits);
  EXPECT_EQ(logits.error().code, ErrorCode::kOs) << logits.error().OneLine();
  EXPECT_THAT(logits.error().message, HasSubstr(model.file.path()));
  EXPECT_EQ(session->position(), 0);
  // Once everything has arrived, nothing is read for them.
  model.control.permit.Allow(UINT32_MAX);
  EXPECT_TRUE(model.loaded->weights->Finish());
  EXPECT_EQ(AllLogits(*session), Expected());
}

class SessionLoaders : public ::testing::TestWithParam<LoaderKind> {};

TEST_P(SessionLoaders, RunsWhileWeightsArrive) {
  const std::vector<float> expected = Expected();
  const TempFile file(BuildTinyLlama(kSpec));
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(3);
  for (int round = 0; round < 3; ++round) {
    ModelStart start;
    start.load.loader = GetParam();
    const auto model = LoadedModel::Start(file.path(), start);
    ASSERT_TRUE(model) << model.error().OneLine();
    const auto session = (*model)->NewSession(*pool, {}).value();
    EXPECT_EQ(AllLogits(*session), expected);
    EXPECT_TRUE((*model)->weights->Finish());
  }
}

INSTANTIATE_TEST_SUITE_P(All, SessionLoaders,
                         ::testing::Values(LoaderKind::kMmap, LoaderKind::kRead,
                                           LoaderKind::kIoUring, LoaderKind::kSplice),
                         [](const auto& test) { return std::string(NameOf(test.param)); });

}  // namespace
}  // namespace llmrun
