#include "model/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "sched/team.h"
#include "tests/support/loaded_model.h"
#include "tests/support/reference_llama.h"

namespace llmrun {
namespace {

using ::testing::HasSubstr;

std::vector<TokenId> RandomTokens(size_t count, uint32_t n_vocab) {
  return TokensFrom(7, count, n_vocab);
}

std::vector<float> Copy(std::span<const float> values) { return {values.begin(), values.end()}; }

// A model of random weights, loaded, with its file.
struct TestModel {
  TempFile file;
  std::unique_ptr<LoadedModel> loaded;

  explicit TestModel(const TinyLlamaSpec& spec = {})
      : file(BuildTinyLlama(spec)), loaded(LoadedModel::Start(file.path()).value()) {}

  // The logits of all tokens from a new session.
  std::vector<float> Logits(std::span<const TokenId> tokens, int threads,
                            const SessionOptions& options) const {
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(threads);
    const std::unique_ptr<Session> session = loaded->NewSession(*pool, options).value();
    return Copy(session->Forward(tokens, LogitsOf::kAll).value());
  }
};

SessionOptions WithF32Cache() {
  SessionOptions options;
  options.kv_type = DType::kF32;
  return options;
}

// ---- against the float64 reference ----

struct Variant {
  const char* name;
  TinyLlamaSpec spec;
  DType kv_type = DType::kF32;
  double bound = 1e-9;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

class SessionVariants : public ::testing::TestWithParam<Variant> {};

TEST_P(SessionVariants, AgreeWithTheReferenceOnEveryIsa) {
  const Variant& variant = GetParam();
  const TestModel model(variant.spec);
  const std::vector<TokenId> tokens = RandomTokens(24, variant.spec.n_vocab);
  const std::vector<double> truth = ReferenceLlama(model.loaded->index).Logits(tokens);
  for (const IsaLevel isa : SupportedIsaLevels()) {
    SessionOptions options;
    options.kv_type = variant.kv_type;
    options.isa = isa;
    EXPECT_LE(Nmse(model.Logits(tokens, 2, options), truth), variant.bound) << NameOf(isa);
  }
}

// The bounds of the F16 cache and of Q8_0 are those of keys and values rounded to 11 bits, and of
// activations rounded to 8.
const Variant kVariants[] = {
    {"Gqa1", {.n_kv_heads = 4}},
    {"Gqa2", {.n_kv_heads = 2}},
    {"Gqa4", {.n_kv_heads = 1}},
    {"Tied", {.tied = true}},
    {"OneLayerOneHead", {.n_layers = 1, .n_heads = 1, .n_kv_heads = 1}},
    {"OddSizes", {.d_model = 36, .n_heads = 3, .n_kv_heads = 3, .d_ff = 50, .n_vocab = 263}},
    {"F16Cache", {}, DType::kF16, 1e-5},
    {"F16", {.dtype = DType::kF16}},
    {"Q8_0", {.dtype = DType::kQ8_0}, DType::kF32, 1e-3},
    {"Q8_0Tied", {.dtype = DType::kQ8_0, .tied = true}, DType::kF16, 1e-3},
};
INSTANTIATE_TEST_SUITE_P(All, SessionVariants, ::testing::ValuesIn(kVariants),
                         [](const auto& test) { return std::string(test.param.name); });

// What the bound of the variants is worth: a wrong rotation is far outside of it.
TEST(Session, WrongKindOfRopeIsFarFromTheReference) {
  const TestModel model;
  const std::vector<TokenId> tokens = RandomTokens(24, 320);
  const std::vector<double> interleaved = ReferenceLlama(model.loaded->index).Logits(tokens);
  const std::vector<double> halves =
      ReferenceLlama(model.loaded->index, {.rope_in_halves = true}).Logits(tokens);
  const std::vector<float> logits = model.Logits(tokens, 1, WithF32Cache());
  EXPECT_LE(Nmse(logits, interleaved), 1e-9);
  EXPECT_GT(Nmse(logits, halves), 1e-4);

  model.loaded->config.kind.rope_interleaved = false;
  const std::vector<float> in_halves = model.Logits(tokens, 1, WithF32Cache());
  EXPECT_LE(Nmse(in_halves, halves), 1e-9);
  EXPECT_GT(Nmse(in_halves, interleaved), 1e-4);
}

TEST(Session, ScalesPositionsLinearly) {
  const TempFile file(BuildTinyLlama({}));
  const auto loaded = LoadedModel::Start(
      file.path(), {.edit = [](GgufFile& header) {
        header.metadata.Add({"llama.rope.scaling.type", MetaType::kString, std::string("linear")});
        header.metadata.Add({"llama.rope.scaling.factor", MetaType::kFloat32, 4.0F});
      }});
  ASSERT_TRUE(loaded) << loaded.error().OneLine();
  const std::vector<TokenId> tokens = RandomTokens(24, 320);
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = (*loaded)->NewSession(*pool, WithF32Cache()).value();
  const std::vector<float> logits = Copy(session->Forward(tokens, LogitsOf::kAll).value());
  EXPECT_LE(Nmse(logits, ReferenceLlama((*loaded)->index).Logits(tokens)), 1e-9);
  const ReferenceLlama unscaled((*loaded)->index, {.ignore_rope_scale = true});
  EXPECT_GT(Nmse(logits, unscaled.Logits(tokens)), 1e-4);
}

// ---- the same bits however the work is divided ----

class SessionBits : public ::testing::TestWithParam<std::tuple<DType, IsaLevel>> {};

TEST_P(SessionBits, DoNotDependOnThreadsOrBatches) {
  const auto [dtype, isa] = GetParam();
  const TestModel model({.n_heads = 4, .n_kv_heads = 2, .dtype = dtype});
  const std::vector<TokenId> tokens = RandomTokens(40, 320);
  SessionOptions options;
  options.isa = isa;
  const std::vector<float> expected = model.Logits(tokens, 1, options);
  for (const int threads : {1, 2, 3, 4, 7, 16}) {
    for (const int64_t n_batch : {1, 7, 32}) {
      options.n_batch = n_batch;
      EXPECT_EQ(model.Logits(tokens, threads, options), expected)
          << threads << " threads, batches of " << n_batch;
    }
  }
}

// Between batches the team becomes another: any members, at any speed, on up to three nodes.
TEST_P(SessionBits, DoNotDependOnTeams) {
  const auto [dtype, isa] = GetParam();
  const TestModel model({.n_heads = 4, .n_kv_heads = 4, .dtype = dtype});
  const std::vector<TokenId> tokens = RandomTokens(40, 320);
  SessionOptions options;
  options.isa = isa;
  const std::vector<float> expected = model.Logits(tokens, 1, options);
  constexpr size_t kMembers = 16;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(kMembers);
  std::mt19937 random(5);
  std::set<int> sizes;
  options.before_batch = [&](int64_t /*n_tokens*/) {
    std::vector<std::optional<unsigned>> nodes(kMembers);
    std::vector<double> weights(kMembers);
    const unsigned rarely = 1 + random() % 8;
    for (size_t i = 0; i < kMembers; ++i) {
      if (random() % 4 != 0) nodes[i] = static_cast<unsigned>(random() % 3);
      weights[i] = random() % rarely == 0 ? 1.0 / static_cast<double>(1 + random() % 3) : 0;
    }
    weights[0] = 1;
    const auto team = std::make_shared<Team>(nodes, weights);
    sizes.insert(team->size());
    pool->SetTeam(team);
  };
  for (const int64_t n_batch : {1, 7}) {
    options.n_batch = n_batch;
    const auto session = model.loaded->NewSession(*pool, options).value();
    EXPECT_EQ(Copy(session->Forward(tokens, LogitsOf::kAll).value()), expected) << n_batch;
  }
  EXPECT_GT(sizes.size(), 5U);
}

TEST(Session, SaysWhatEachBatchTook) {
  const TestModel model;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(2);
  SessionOptions options;
  options.n_batch = 4;
  std::vector<int64_t> batches;  // negative: before
  options.before_batch = [&](int64_t n_tokens) { batches.push_back(-n_tokens); };
  options.after_batch = [&](int64_t n_tokens, double seconds) {
    batches.push_back(n_tokens);
    EXPECT_GT(seconds, 0);
  };
  const auto session = model.loaded->NewSession(*pool, options).value();
  ASSERT_TRUE(session->Forward(RandomTokens(9, 320), LogitsOf::kLast));
  EXPECT_EQ(batches, (std::vector<int64_t>{-4, 4, -4, 4, -1, 1}));
  batches.clear();
  EXPECT_FALSE(session->Forward({}, LogitsOf::kLast));
  EXPECT_TRUE(batches.empty());
}

INSTANTIATE_TEST_SUITE_P(All, SessionBits,
                         ::testing::Combine(::testing::Values(DType::kF32, DType::kF16,
                                                              DType::kQ8_0),
                                            ::testing::ValuesIn(SupportedIsaLevels())),
                         [](const auto& test) {
                           return fmt::format("{}_{}", NameOf(std::get<0>(test.param)),
                                              NameOf(std::get<1>(test.param)));
                         });

TEST(Session, BitsAreTheSameOnEveryIsa) {
  const std::vector<TokenId> tokens = RandomTokens(20, 320);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kQ8_0}) {
    const TestModel model({.dtype = dtype});
    const std::vector<float> expected = model.Logits(tokens, 1, {});
    for (const IsaLevel isa : SupportedIsaLevels()) {
      SessionOptions options;
      options.isa = isa;
      EXPECT_EQ(model.Logits(tokens, 2, options), expected) << NameOf(dtype) << " " << NameOf(isa);
    }
  }
}

TEST(Session, LastLogitsAreTheLastOfAll) {
  const TestModel model;
  const std::vector<TokenId> tokens = RandomTokens(20, 320);
  const std::vector<float> all = model.Logits(tokens, 1, {});
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(3);
  for (const int64_t n_batch : {1, 6, 20}) {
    SessionOptions options;
    options.n_batch = n_batch;
    const auto session = model.loaded->NewSession(*pool, options).value();
    const std::vector<float> last = Copy(session->Forward(tokens, LogitsOf::kLast).value());
    EXPECT_EQ(last, std::vector<float>(all.end() - 320, all.end())) << n_batch;
    EXPECT_EQ(session->position(), 20);
  }
}

// ---- positions ----

TEST(Session, TruncatedAndContinuedEqualsFresh) {
  const TestModel model;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(2);
  const std::vector<TokenId> tokens = RandomTokens(30, 320);
  const std::span all(tokens);
  const auto session = model.loaded->NewSession(*pool, {}).value();
  ASSERT_TRUE(session->Forward(all.first(12), LogitsOf::kLast));
  ASSERT_TRUE(session->Forward(RandomTokens(9, 300), LogitsOf::kAll));
  EXPECT_EQ(session->position(), 21);
  session->Truncate(12);
  EXPECT_EQ(session->position(), 12);
  const std::vector<float> continued =
      Copy(session->Forward(all.subspan(12), LogitsOf::kAll).value());

  const std::vector<float> fresh = model.Logits(tokens, 2, {});
  EXPECT_EQ(continued, std::vector<float>(fresh.begin() + 12 * 320, fresh.end()));
  session->Truncate(0);
  EXPECT_EQ(Copy(session->Forward(tokens, LogitsOf::kAll).value()), fresh);
}

TEST(Session, RefusesWhatDoesNotFit) {
  const TestModel model;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  SessionOptions options;
  options.n_ctx = 16;
  const auto session = model.loaded->NewSession(*pool, options).value();
  EXPECT_EQ(session->n_ctx(), 16);
  const std::vector<TokenId> tokens = RandomTokens(17, 320);
  const auto too_long = session->Forward(tokens, LogitsOf::kLast);
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::kUsage);
  EXPECT_THAT(too_long.error().message, HasSubstr("17 tokens do not fit into a context of 16"));
  EXPECT_EQ(too_long.error().fix, "-c 17");
  EXPECT_EQ(session->position(), 0);

  ASSERT_TRUE(session->Forward(std::span(tokens).first(16), LogitsOf::kLast));
  const auto one_more = session->Forward(std::span(tokens).first(1), LogitsOf::kLast);
  ASSERT_FALSE(one_more);
  EXPECT_THAT(one_more.error().message, HasSubstr("with 16 in use"));
  EXPECT_EQ(session->position(), 16);
}

TEST(Session, RefusesTokensOutsideTheVocabulary) {
  const TestModel model;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = model.loaded->NewSession(*pool, {}).value();
  for (const TokenId bad : {-1, 320, INT32_MAX, INT32_MIN}) {
    const TokenId tokens[] = {1, bad};
    const auto logits = session->Forward(tokens, LogitsOf::kLast);
    ASSERT_FALSE(logits);
    EXPECT_EQ(logits.error().code, ErrorCode::kUsage);
    EXPECT_THAT(logits.error().message,
                HasSubstr(fmt::format("token 1 of 2: expected an id of 0..319, found {}", bad)));
  }
  EXPECT_FALSE(session->Forward({}, LogitsOf::kLast));
  EXPECT_EQ(session->position(), 0);
}

TEST(Session, RefusesOptionsOutOfRange) {
  const TestModel model;
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const SessionOptions bad[] = {{.n_ctx = -1},
                                {.n_ctx = int64_t{1} << 28},
                                {.n_batch = 0},
                                {.n_batch = -5},
                                {.kv_type = DType::kQ4_1}};
  for (const SessionOptions& options : bad) {
    const auto session = model.loaded->NewSession(*pool, options);
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error().code, ErrorCode::kUsage) << session.error().OneLine();
  }
}

TEST(Session, SaysHowMuchMemoryWasMissing) {
  const TestModel model({.d_model = 512, .n_layers = 4, .n_heads = 4, .n_kv_heads = 4});
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  SessionOptions options;
  options.n_ctx = static_cast<int64_t>(kMaxContext);  // 1 TiB
  const auto session = model.loaded->NewSession(*pool, options);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kResource) << session.error().OneLine();
  EXPECT_THAT(session.error().message,
              HasSubstr("KV cache of 134217728 F16 positions (1024.00 GiB)"));
  EXPECT_THAT(session.error().fix, HasSubstr("-c"));
}

TEST(Session, ContextIsTheModelsUnlessAsked) {
  const TestModel model({.n_context = 100});
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = model.loaded->NewSession(*pool, {}).value();
  EXPECT_EQ(session->n_ctx(), 100);
  EXPECT_EQ(session->n_vocab(), 320);
  // 2 layers, keys and values of 2 heads of 16 half-precision numbers
  EXPECT_GE(session->kv_bytes(), 2U * 2 * 2 * 16 * 2 * 100);
  EXPECT_GT(session->scratch_bytes(), 0U);
}

// ---- interruption ----

TEST(Session, StopsBetweenLayersAndCanGoOn) {
  const TestModel model({.n_layers = 3});
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(3);
  int asked = 0;
  int allowed = 2;
  SessionOptions options;
  options.n_batch = 8;
  options.interrupted = [&] { return ++asked > allowed; };
  const auto session = model.loaded->NewSession(*pool, options).value();
  const std::vector<TokenId> tokens = RandomTokens(20, 320);
  for (allowed = 0; allowed < 12; ++allowed) {  // 4 questions a batch
    asked = 0;
    const auto logits = session->Forward(tokens, LogitsOf::kAll);
    ASSERT_FALSE(logits) << allowed;
    EXPECT_EQ(logits.error().message, "interrupted");
    EXPECT_TRUE(session->interrupted());
    EXPECT_EQ(asked, allowed + 1);
    EXPECT_EQ(session->position(), 0);
  }
  asked = 0;
  const auto logits = session->Forward(tokens, LogitsOf::kAll);
  ASSERT_TRUE(logits);
  EXPECT_FALSE(session->interrupted());
  EXPECT_EQ(asked, 12);
  EXPECT_EQ(Copy(*logits), model.Logits(tokens, 1, {}));
}

// ---- binding ----

struct BadTensors {
  const char* name;
  TinyLlamaSpec spec;
  void (*change)(TensorInfo&);
  const char* tensor;  // to which `change` is applied
  ErrorCode code;
  std::vector<const char*> says;
};

void PrintTo(const BadTensors& bad, std::ostream* out) { *out << bad.name; }

class SessionRejects : public ::testing::TestWithParam<BadTensors> {};

TEST_P(SessionRejects, WithAMessage) {
  const BadTensors& bad = GetParam();
  const TempFile file(BuildTinyLlama(bad.spec));
  const auto loaded = LoadedModel::Start(file.path(), {.edit = [&](GgufFile& header) {
                                           for (TensorInfo& tensor : header.tensors) {
                                             if (tensor.name == bad.tensor) bad.change(tensor);
                                           }
                                         }});
  ASSERT_TRUE(loaded) << loaded.error().OneLine();
  const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
  const auto session = (*loaded)->NewSession(*pool, {});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, bad.code) << session.error().OneLine();
  EXPECT_THAT(session.error().message, HasSubstr(file.path()));
  for (const char* part : bad.says) EXPECT_THAT(session.error().message, HasSubstr(part));
}

const BadTensors kBadTensors[] = {
    {"Missing",
     {},
     [](TensorInfo& t) { t.name = "blk.1.ffn_x.weight"; },
     "blk.1.ffn_up.weight",
     ErrorCode::kBadData,
     {"'blk.1.ffn_up.weight' is missing"}},
    {"MissingOutputNorm",
     {},
     [](TensorInfo& t) { t.name = "norm.weight"; },
     "output_norm.weight",
     ErrorCode::kBadData,
     {"'output_norm.weight' is missing"}},
    {"Unknown",
     {},
     [](TensorInfo& t) { t.name = "blk.0.attn_q.bias"; },
     "output.weight",
     ErrorCode::kUnavailable,
     {"'blk.0.attn_q.bias'", "not a tensor of architecture 'llama'"}},
    {"UnknownHostile",
     {},
     [](TensorInfo& t) { t.name = "a\nb"; },
     "output.weight",
     ErrorCode::kUnavailable,
     {"'a\\x0ab'"}},
    {"Transposed",
     {},
     [](TensorInfo& t) { std::swap(t.dims[0], t.dims[1]); },
     "blk.0.ffn_down.weight",
     ErrorCode::kBadData,
     {"'blk.0.ffn_down.weight'", "expected shape [128, 64], found [64, 128]"}},
    {"ThreeDimensions",
     {},
     [](TensorInfo& t) {
       t.n_dims = 3;
       t.dims = {64, 32, 2, 1};
     },
     "blk.0.attn_q.weight",
     ErrorCode::kBadData,
     {"'blk.0.attn_q.weight'", "expected shape [64, 64], found [64, 32, 2]"}},
    {"ShortNorm",
     {},
     [](TensorInfo& t) { t.dims[0] = 32; },
     "blk.1.attn_norm.weight",
     ErrorCode::kBadData,
     {"'blk.1.attn_norm.weight'", "expected shape [64], found [32]"}},
    {"TypeWithoutKernel",
     {.dtype = DType::kF16},
     [](TensorInfo& t) { t.dtype = DType::kI16; },
     "blk.1.attn_v.weight",
     ErrorCode::kUnavailable,
     {"'blk.1.attn_v.weight'", "type I16",
      "F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, "
      "TQ1_0, TQ2_0, I2_S, MXFP4, IQ2_BN"}},
    {"NormOfOtherType",
     {},
     [](TensorInfo& t) { t.dtype = DType::kI32; },
     "blk.0.ffn_norm.weight",
     ErrorCode::kUnavailable,
     {"'blk.0.ffn_norm.weight'", "expected type F32, found I32"}},
    {"MisalignedNorm",
     {},
     [](TensorInfo& t) { t.file_offset -= 2; },
     "output_norm.weight",
     ErrorCode::kBadData,
     {"'output_norm.weight'", "multiple of 4"}},
};

INSTANTIATE_TEST_SUITE_P(All, SessionRejects, ::testing::ValuesIn(kBadTensors),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Session, RefusesRopeFactorsThatAreNoNumbers) {
  // One of the norms, of the right size, in the place of the factors: first as it is (positive
  // numbers), then with a zero in it.
  for (const bool damaged : {false, true}) {
    const TinyLlamaSpec spec = {.d_model = 8, .n_heads = 1, .n_kv_heads = 1, .d_ff = 8};
    std::vector<std::byte> bytes = BuildTinyLlama(spec);
    const TempFile file(bytes);
    const auto edit = [&](GgufFile& header) {
      for (TensorInfo& tensor : header.tensors) {
        if (tensor.name != "output_norm.weight") continue;
        TensorInfo factors = tensor;
        factors.name = "rope_freqs.weight";
        factors.dims[0] = 4;
        factors.bytes = 16;
        tensor.dims[0] = 8;
        header.tensors.push_back(factors);
        if (damaged)
          std::fill_n(bytes.begin() + static_cast<long>(factors.file_offset) + 8, 4, std::byte{0});
        break;
      }
      ASSERT_TRUE(WriteFile(file.path(), bytes));
    };
    ModelStart start;
    start.load.loader = LoaderKind::kMmap;
    start.edit = edit;
    const auto loaded = LoadedModel::Start(file.path(), start);
    ASSERT_TRUE(loaded) << loaded.error().OneLine();
    const std::unique_ptr<ThreadPool> pool = MakeTestPool(1);
    const auto session = (*loaded)->NewSession(*pool, WithF32Cache()).value();
    const std::vector<TokenId> tokens = RandomTokens(8, 320);
    const auto logits = session->Forward(tokens, LogitsOf::kAll);
    ASSERT_EQ(logits.has_value(), !damaged);
    if (damaged) {
      EXPECT_EQ(logits.error().code, ErrorCode::kBadData);
      EXPECT_THAT(logits.error().message, HasSubstr("'rope_freqs.weight'"));
    } else {
      EXPECT_LE(Nmse(*logits, ReferenceLlama((*loaded)->index).Logits(tokens)), 1e-9);
    }
  }
}

}  // namespace
}  // namespace llmrun
