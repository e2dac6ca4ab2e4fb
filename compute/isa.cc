// Which instruction sets this machine has. __builtin_cpu_supports asks the processor (CPUID) and
// the operating system (XCR0: whether it saves the wider registers).
#include <cpuid.h>

#include "base/error.h"
#include "compute/kernels.h"

namespace llmrun {
namespace {

constexpr IsaLevel kLevels[] = {IsaLevel::kPortable, IsaLevel::kAvx2, IsaLevel::kAvx512};

// The half-precision conversions, which clang 14's __builtin_cpu_supports does not know.
bool HasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool Supported(IsaLevel level) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  switch (level) {
    case IsaLevel::kPortable:
      return true;
    case IsaLevel::kAvx2:
      return avx2;
    case IsaLevel::kAvx512:
      return avx512;
  }
  return false;
}

}  // namespace

std::string_view NameOf(IsaLevel level) {
  switch (level) {
    case IsaLevel::kPortable:
      return "portable";
    case IsaLevel::kAvx2:
      return "avx2";
    case IsaLevel::kAvx512:
      return "avx512vnni";
  }
  return "?";
}

Result<IsaLevel> ChooseIsa(std::string_view override) {
  IsaLevel best = IsaLevel::kPortable;
  for (IsaLevel level : kLevels) {
    if (override == NameOf(level)) {
      if (Supported(level)) return level;
      return MakeError(ErrorCode::kUnavailable, "this machine does not support the {} kernels",
                       override);
    }
    if (Supported(level)) best = level;
  }
  if (override.empty()) return best;
  return MakeError(ErrorCode::kUsage, "unknown instruction set '{}', known are {}, {}, {}",
                   override, NameOf(kLevels[0]), NameOf(kLevels[1]), NameOf(kLevels[2]));
}

}  // namespace llmrun
