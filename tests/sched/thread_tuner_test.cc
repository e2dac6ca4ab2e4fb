#include "sched/thread_tuner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

namespace llmrun {
namespace {

// What a token takes with so many threads.
using Cost = std::function<double(int)>;

// Speed follows the number of threads.
double Arithmetic(int threads) { return 1.0 / threads; }
// `enough` threads saturate the memory, each further one costs `penalty` of the time.
Cost Memory(int enough, double penalty) {
  return [=](int threads) {
    return threads < enough ? 1.0 * enough / threads : 1 + penalty * (threads - enough);
  };
}
double Flat(int /*threads*/) { return 1; }

// What happened until a tuner was settled.
struct Course {
  int threads = 0;  // that it settled on
  int tokens = 0;
  int fewer_tokens = 0;  // computed with fewer threads than the best of then
  double seconds = 0;
  double speedup = 0;
};

// `token_seconds`: of token i with so many threads. Gives up after 1000 tokens.
Course Settle(int most, const std::function<double(int, int)>& token_seconds) {
  ThreadTuner tuner(most);
  Course course;
  while (!tuner.settled() && course.tokens < 1000) {
    const double seconds = token_seconds(course.tokens, tuner.threads());
    ++course.tokens;
    if (tuner.threads() < tuner.best()) ++course.fewer_tokens;
    course.seconds += seconds;
    tuner.Add(seconds);
  }
  EXPECT_TRUE(tuner.settled());
  EXPECT_EQ(tuner.threads(), tuner.best());
  EXPECT_EQ(tuner.most(), most);
  course.threads = tuner.best();
  course.speedup = tuner.speedup();
  return course;
}

Course SettleOn(int most, const Cost& cost) {
  return Settle(most, [&](int /*token*/, int threads) { return cost(threads); });
}

// How many of 1000 tuners of 16 threads settle on fewer, when each token is disturbed by a factor.
int LeaveMost(const Cost& cost, const std::function<double(std::mt19937&)>& disturbance) {
  int left = 0;
  for (unsigned seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    const Course course =
        Settle(16, [&](int /*token*/, int threads) { return cost(threads) * disturbance(random); });
    if (course.threads < 16) ++left;
  }
  return left;
}

double Uniform(std::mt19937& random, double from, double to) {
  return from + (to - from) * static_cast<double>(random()) / 4294967296.0;
}

TEST(ThreadTuner, TriesNothingBelowFourThreads) {
  for (const int most : {1, 2, 3}) {
    ThreadTuner tuner(most);
    EXPECT_TRUE(tuner.settled());
    EXPECT_EQ(tuner.threads(), most);
    tuner.Add(1);
    EXPECT_EQ(tuner.threads(), most);
    EXPECT_EQ(tuner.speedup(), 1);
  }
}

TEST(ThreadTuner, TriesInBlocksInTurn) {
  ThreadTuner tuner(8);
  std::vector<int> blocks;
  for (int token = 0; token < 30; ++token) {
    const int threads = tuner.threads();
    if (token % 3 == 0) blocks.push_back(threads);
    EXPECT_EQ(threads, blocks.back()) << token;
    tuner.Add(threads);
  }
  EXPECT_EQ(blocks, (std::vector<int>{8, 6, 8, 6, 8, 6, 8, 6, 4, 6}));
}

TEST(ThreadTuner, StopsWhereFewerAreNotFasterAnyMore) {
  const Course six = SettleOn(16, Memory(6, 0.02));
  EXPECT_EQ(six.threads, 6);
  EXPECT_NEAR(six.speedup, 1.2, 1e-9);
  EXPECT_EQ(SettleOn(16, Memory(12, 0.02)).threads, 12);
  EXPECT_EQ(SettleOn(64, Memory(20, 0.005)).threads, 20);
  EXPECT_EQ(SettleOn(5, Memory(2, 0.05)).threads, 3);
  EXPECT_EQ(SettleOn(4, Memory(2, 0.05)).threads, 3);
  EXPECT_EQ(SettleOn(4, Arithmetic).threads, 4);
}

TEST(ThreadTuner, ThreePercentAreClearlyFaster) {
  const auto with_fewer = [](double seconds) {
    return [seconds](int threads) { return threads == 8 ? 1 : threads == 6 ? seconds : 2; };
  };
  EXPECT_EQ(SettleOn(8, with_fewer(0.969)).threads, 6);
  EXPECT_EQ(SettleOn(8, with_fewer(0.971)).threads, 8);
}

TEST(ThreadTuner, ATrialThatIsLostFromTheStartCostsThreeTokens) {
  const Course flat = SettleOn(16, Flat);
  EXPECT_EQ(flat.threads, 16);
  EXPECT_EQ(flat.speedup, 1);
  EXPECT_EQ(flat.fewer_tokens, 9);
  EXPECT_EQ(flat.tokens, 21);
  const Course slower = SettleOn(16, Arithmetic);
  EXPECT_EQ(slower.threads, 16);
  EXPECT_NEAR(slower.seconds / Arithmetic(16), 21 + 3, 1e-9);
}

TEST(ThreadTuner, TokensAfterAnExchangeDoNotCount) {
  const auto first_tokens = [](const Cost& cost, double to_fewer, double to_more) {
    int before = 16;
    return Settle(16, [&, before](int /*token*/, int threads) mutable {
      const double factor = threads < before ? to_fewer : threads > before ? to_more : 1;
      before = threads;
      return cost(threads) * factor;
    });
  };
  EXPECT_EQ(first_tokens(Flat, 0.1, 10).threads, 16);
  const Course six = first_tokens(Memory(6, 0.02), 10, 0.1);
  EXPECT_EQ(six.threads, 6);
  EXPECT_NEAR(six.speedup, 1.2, 1e-9);
}

TEST(ThreadTuner, SpeedupIsThatOfTheMiddleRound) {
  ThreadTuner tuner(5);
  for (const double fewer : {0.8, 0.9, 0.5}) {
    for (const double seconds : {1.0, 1.0, 1.0, fewer, fewer, fewer}) tuner.Add(seconds);
  }
  for (int i = 0; i < 3; ++i) tuner.Add(1);
  EXPECT_EQ(tuner.best(), 3);
  EXPECT_NEAR(tuner.speedup(), 1.25, 1e-9);
}

TEST(ThreadTuner, TimesThatGrowOrShrinkDoNotLookFaster) {
  for (const double drift : {0.001, 0.01, 0.1, -0.001, -0.01}) {
    const auto flat = [&](int token, int /*threads*/) { return 1 + drift * token; };
    EXPECT_EQ(Settle(16, flat).threads, 16) << drift;
  }
  for (const double drift : {0.002, -0.002}) {
    const auto four_percent = [&](int token, int threads) {
      return (1 + drift * token) * (threads == 16 ? 1 : threads == 12 ? 0.96 : 1);
    };
    EXPECT_EQ(Settle(16, four_percent).threads, 12) << drift;
  }
}

// What disturbs tokens: every one a little, some a lot, many in a row.
std::function<double(std::mt19937&)> Noise(double width) {
  return [width](std::mt19937& random) { return 1 + Uniform(random, -width, width); };
}
double OneInTen(std::mt19937& random) { return random() % 10 == 0 ? 3.0 : 1.0; }
std::function<double(std::mt19937&)> Bursts(int tokens) {
  return [tokens, left = 0](std::mt19937& random) mutable {
    if (left > 0) return --left, 1.6;
    if (random() % 30 == 0) left = tokens;
    return 1.0;
  };
}

TEST(ThreadTuner, NoiseAloneSeldomLooksFaster) {
  EXPECT_EQ(LeaveMost(Flat, Noise(0.05)), 0);
  EXPECT_LT(LeaveMost(Flat, Noise(0.10)), 80);
  EXPECT_EQ(LeaveMost(Arithmetic, Noise(0.20)), 0);
  EXPECT_EQ(LeaveMost(Flat, OneInTen), 0);
  EXPECT_EQ(LeaveMost(Arithmetic, OneInTen), 0);
  for (const int tokens : {3, 6, 10, 20}) {
    EXPECT_LT(LeaveMost(Flat, Bursts(tokens)), 3) << tokens;
    EXPECT_LT(LeaveMost(Arithmetic, Bursts(tokens)), 3) << tokens;
  }
}

TEST(ThreadTuner, ATenthFasterIsFoundInNoise) {
  const Cost tenth = [](int threads) { return threads == 12 ? 0.9 : 1; };
  EXPECT_GT(LeaveMost(tenth, Noise(0.05)), 980);
  EXPECT_GT(LeaveMost(tenth, OneInTen), 980);
  for (const int tokens : {3, 6, 10, 20}) EXPECT_GT(LeaveMost(tenth, Bursts(tokens)), 920);
}

TEST(ThreadTuner, TrialsEndWhateverTheTimes) {
  int longest = 0;
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    const int most = 4 + static_cast<int>(random() % 61);
    int trials = 1;
    for (int n = most; n * 3 / 4 >= ThreadTuner::kFewestTried; n = n * 3 / 4) ++trials;
    const Course course =
        Settle(most, [&](int /*token*/, int /*threads*/) { return Uniform(random, 0, 1); });
    EXPECT_LE(course.tokens, trials * ThreadTuner::kMostTokensOfTrial) << most;
    EXPECT_LE(course.fewer_tokens, trials * 15) << most;
    if (course.threads == most) longest = std::max(longest, course.tokens);
  }
  EXPECT_EQ(longest, ThreadTuner::kMostTokensOfTrial) << "the bound is reached";
}

}  // namespace
}  // namespace llmrun
