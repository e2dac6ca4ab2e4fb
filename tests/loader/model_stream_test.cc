// Models from pipes and sockets: bytes that come once, in pieces of any size, and may stop
// anywhere.
#include "loader/io/model_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "base/units.h"
#include "loader/open_model.h"
#include "tests/loader/backend_files.h"
#include "tests/loader/weights_support.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

// Something that writes into one end of a pipe or socket while the test reads at the other.
class Writer {
 public:
  enum class Kind { kPipe, kSocket };

  Writer(const Bytes& bytes, Kind kind, size_t piece_bytes) {
    int ends[2] = {-1, -1};
    const int made =
        kind == Kind::kPipe ? ::pipe(ends) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    EXPECT_EQ(made, 0);
    from_ = UniqueFd(ends[0]);
    thread_ = std::jthread([&bytes, piece_bytes, to = ends[1]] {
      const UniqueFd fd(to);
      for (size_t done = 0; done < bytes.size();) {
        const size_t piece = std::min(piece_bytes, bytes.size() - done);
        const ssize_t n = ::write(fd.get(), bytes.data() + done, piece);
        if (n <= 0) return;
        done += static_cast<size_t>(n);
      }
    });
  }
  int fd() const { return from_.get(); }

 private:
  UniqueFd from_;
  std::jthread thread_;
};

Bytes FileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST(ModelStream, HeadTwiceThenEachByteOnce) {
  const Bytes bytes = BytesOf(3'333'333);
  for (const Writer::Kind kind : {Writer::Kind::kPipe, Writer::Kind::kSocket}) {
    const Writer writer(bytes, kind, 77'777);
    const auto stream = ModelStream::Open(writer.fd(), "m").value();
    EXPECT_GT(stream->SizeBytes(), uint64_t{1} << 60);
    Bytes head(200'000);
    ASSERT_TRUE(stream->ReadAt(100, head));
    EXPECT_TRUE(std::equal(head.begin(), head.end(), bytes.begin() + 100));
    ASSERT_TRUE(stream->ReadAt(0, std::span(head).first(5)));
    EXPECT_TRUE(std::equal(head.begin(), head.begin() + 5, bytes.begin()));
    // Inside the head, across its end, after a gap, up to the last byte.
    const uint64_t ranges[][2] = {
        {50'000, 1000}, {51'000, 300'000}, {900'000, 1'000'000}, {1'900'000, 1'433'333}};
    for (const auto& [offset, size] : ranges) {
      Bytes part(size);
      ASSERT_TRUE(stream->ReadNext(offset, part, nullptr));
      EXPECT_TRUE(
          std::equal(part.begin(), part.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset)))
          << offset;
    }
  }
}

TEST(ModelStream, NothingIsNoInput) {
  const Bytes nothing;
  const Writer writer(nothing, Writer::Kind::kPipe, 1);
  const auto stream = ModelStream::Open(writer.fd(), "standard input");
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, ErrorCode::kNoInput);
  EXPECT_THAT(stream.error().message, HasSubstr("found nothing"));
  EXPECT_FALSE(stream.error().fix.empty());
}

TEST(ModelStream, AnEarlyEndSaysWhere) {
  const Bytes bytes = BytesOf(100'000);
  const Writer writer(bytes, Writer::Kind::kPipe, 4096);
  const auto stream = ModelStream::Open(writer.fd(), "m").value();
  Bytes part(60'000);
  ASSERT_TRUE(stream->ReadNext(0, part, nullptr));
  const Status ended = stream->ReadNext(60'000, part, nullptr);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::kBadData);
  EXPECT_THAT(ended.error().message,
              HasSubstr("m: the stream ended after 100000 bytes, expected at least 120000"));
  EXPECT_EQ(stream->SizeBytes(), 100'000U);
}

TEST(ModelStream, AWaitCanBeCancelled) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd from(ends[0]);
  const UniqueFd to(ends[1]);
  ASSERT_EQ(::write(to.get(), "x", 1), 1);
  const auto stream = ModelStream::Open(from.get(), "m").value();
  std::atomic<bool> cancelled = false;
  Bytes part(10);
  std::jthread canceller([&] { cancelled = true; });
  const Status waited = stream->ReadNext(0, part, &cancelled);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().message, "cancelled");
}

// --- whole models ---

TEST(StreamedWeights, SameBytesAsFromTheFileIntoEveryKindOfPages) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const Bytes bytes = FileBytes(path);
  const uint64_t hash = HashOfFiles(OpenModel(path).value());
  for (const HugePages pages : {HugePages::kOff, HugePages::kThp, HugePages::k2M}) {
    for (const Writer::Kind kind : {Writer::Kind::kPipe, Writer::Kind::kSocket}) {
      const Writer writer(bytes, kind, 100'000);
      const auto stream = ModelStream::Open(writer.fd(), "standard input").value();
      const TensorIndex index = OpenModelStream(*stream).value();
      LoadOptions options;
      options.stream = stream.get();
      options.hugepages = pages;
      const Result<LoadReport> report = LoadAll(index, options);
      ASSERT_TRUE(report) << report.error().OneLine();
      EXPECT_EQ(report->xxh3, hash);
      EXPECT_EQ(report->loader, "pipe");
      EXPECT_EQ(report->copies, 1);
      EXPECT_EQ(report->cached_bytes_before, std::nullopt);
    }
  }
}

TEST(StreamedWeights, RowsThatHaveNotComeAreWaitedFor) {
  const TempTree tree;
  const std::string path = WriteModel(tree);
  const Bytes bytes = FileBytes(path);
  const Writer writer(bytes, Writer::Kind::kPipe, 1000);
  const auto stream = ModelStream::Open(writer.fd(), "m").value();
  const TensorIndex index = OpenModelStream(*stream).value();
  LoadOptions options;
  options.stream = stream.get();
  const auto weights = StartLoad(index, ThisMachine(), options).value();
  const TensorId id = index.Find("token_embd.weight").value();
  const uint64_t row_bytes = weights->View(id).row_bytes();
  const std::vector<int32_t> rows = {319, 0, 7};
  Bytes got(3 * row_bytes);
  ASSERT_TRUE(weights->CopyRows(id, rows, got.data()));
  for (size_t i = 0; i < rows.size(); ++i) {
    const uint64_t at = index.at(id).extent.offset + static_cast<uint64_t>(rows[i]) * row_bytes;
    EXPECT_EQ(std::memcmp(got.data() + i * row_bytes, bytes.data() + at, row_bytes), 0) << i;
  }
  EXPECT_TRUE(weights->Finish());
}

// Wherever a stream stops, opening or loading fails with one clear error, and no hang.
TEST(StreamedWeights, EveryEarlyEndIsAnError) {
  const TempTree tree;
  const Bytes whole = FileBytes(WriteModel(tree));
  for (size_t size = 1; size < whole.size(); size += whole.size() / 37) {
    const Bytes bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const Writer writer(bytes, Writer::Kind::kPipe, 65'536);
    const auto stream = ModelStream::Open(writer.fd(), "standard input").value();
    const Result<TensorIndex> index = OpenModelStream(*stream);
    if (!index) {
      EXPECT_EQ(index.error().code, ErrorCode::kBadData) << size;
      continue;
    }
    LoadOptions options;
    options.stream = stream.get();
    const Result<LoadReport> report = LoadAll(*index, options);
    ASSERT_FALSE(report) << size;
    EXPECT_EQ(report.error().code, ErrorCode::kBadData) << size;
    EXPECT_THAT(report.error().message, HasSubstr("the stream ended after")) << size;
  }
}

TEST(StreamedWeights, WishesThatAPipeCannotMeetAreSaid) {
  const TempTree tree;
  const Bytes bytes = FileBytes(WriteModel(tree));
  for (const LoaderKind loader : {LoaderKind::kMmap, LoaderKind::kIoUring}) {
    const Writer writer(bytes, Writer::Kind::kPipe, 65'536);
    const auto stream = ModelStream::Open(writer.fd(), "m").value();
    const TensorIndex index = OpenModelStream(*stream).value();
    LoadOptions options;
    options.stream = stream.get();
    options.loader = loader;
    const LoadReport report = LoadAll(index, options).value();
    ASSERT_EQ(report.fallbacks.size(), 1U);
    EXPECT_EQ(report.fallbacks[0].wanted, NameOf(loader));
    EXPECT_EQ(report.fallbacks[0].got, "reads from the pipe");
    EXPECT_EQ(report.fallbacks[0].fix, "save the model to a file");
  }
}

TEST(StreamedWeights, SafetensorsAreRefusedByName) {
  Bytes bytes(1000);
  const std::string_view text("\x10\0\0\0\0\0\0\0{\"__metadata__\":", 24);
  std::memcpy(bytes.data(), text.data(), text.size());
  const Writer writer(bytes, Writer::Kind::kPipe, 1000);
  const auto stream = ModelStream::Open(writer.fd(), "standard input").value();
  const Result<TensorIndex> index = OpenModelStream(*stream);
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(index.error().message, HasSubstr("safetensors"));
}

}  // namespace
}  // namespace llmrun
