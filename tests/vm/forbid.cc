// forbid [--binding] COMMAND...: runs a command that may not bind memory or look where it lies, as
// the default profile of a container forbids it: mbind, set_mempolicy and move_pages give EPERM.
// With --binding it may look.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "tests/loader/restrict_thread.h"

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  const bool may_look = std::strcmp(argv[1], "--binding") == 0;
  char** const command = argv + (may_look ? 2 : 1);
  for (const long syscall_number : {SYS_mbind, SYS_set_mempolicy, SYS_move_pages}) {
    if (may_look && syscall_number == SYS_move_pages) continue;
    if (!llmrun::RefuseSyscall(syscall_number, EPERM)) return 69;
  }
  execvp(command[0], command);
  std::perror(command[0]);
  return 71;
}
