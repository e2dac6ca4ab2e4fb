// Which instruction sets this machine has. __builtin_cpu_supports asks the processor (CPUID) and
// the operating system (XCR0: whether it saves the wider registers).
#include <cpuid.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>
#include <string>

#include "base/error.h"
#include "compute/kernels.h"

namespace llmrun {
namespace {

// AMX is not the last, though it should be the fastest: nobody has measured it yet.
constexpr IsaLevel kLevels[] = {IsaLevel::kPortable,  IsaLevel::kAmxEmulated, IsaLevel::kAvx2,
                                IsaLevel::kAvxVnni,   IsaLevel::kAvx512,      IsaLevel::kAmx,
                                IsaLevel::kAvx512Bf16};

// The half-precision conversions, which clang 14's __builtin_cpu_supports does not know.
bool HasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

// Leaf 7, sub-leaf 1, a bit of EAX: 4 is AVX-VNNI, 5 AVX-512 BF16.
bool HasExtension(int bit) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> bit & 1) != 0;
}

// Leaf 7, EDX bits 24 and 25. The kernel gives a process the tiles' state when it asks (Linux
// Documentation/arch/x86/xstate.rst), for all of its threads.
bool HasAmx() {
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 24 & 3) == 3 &&
         ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool Supported(IsaLevel level) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
#ifdef LLMRUN_EMULATED_ISA
  if (level != IsaLevel::kPortable && level != IsaLevel::kAmx) return avx2;
#endif
  switch (level) {
    case IsaLevel::kPortable:
      return true;
    case IsaLevel::kAvx2:
      return avx2;
    case IsaLevel::kAvxVnni:
      return avx2 && HasExtension(4);
    case IsaLevel::kAvx512:
      return avx512;
    case IsaLevel::kAvx512Bf16:
    case IsaLevel::kAmxEmulated:
      return avx512 && HasExtension(5);
    case IsaLevel::kAmx:
      return avx512 && HasExtension(5) && HasAmx();
  }
  return false;
}

}  // namespace

std::span<const IsaLevel> AllIsaLevels() { return kLevels; }

std::string_view NameOf(IsaLevel level) {
  switch (level) {
    case IsaLevel::kPortable:
      return "portable";
    case IsaLevel::kAvx2:
      return "avx2";
    case IsaLevel::kAvxVnni:
      return "avxvnni";
    case IsaLevel::kAvx512:
      return "avx512vnni";
    case IsaLevel::kAvx512Bf16:
      return "avx512bf16";
    case IsaLevel::kAmx:
      return "amx";
    case IsaLevel::kAmxEmulated:
      return "amx_emulated";
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
  std::string known;
  for (IsaLevel level : kLevels) fmt::format_to(std::back_inserter(known), ", {}", NameOf(level));
  return MakeError(ErrorCode::kUsage, "unknown instruction set '{}', known are {}", override,
                   std::string_view(known).substr(2));
}

}  // namespace llmrun
