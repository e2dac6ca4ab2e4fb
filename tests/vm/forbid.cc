// forbid COMMAND...: runs a command that may not bind memory or look where it lies, as the default
// profile of a container forbids it: mbind, move_pages and set_mempolicy give EPERM.
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <initializer_list>

#include "tests/loader/restrict_thread.h"

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  for (const long syscall_number : {SYS_mbind, SYS_move_pages, SYS_set_mempolicy}) {
    if (!llmrun::RefuseSyscall(syscall_number, EPERM)) return 69;
  }
  execvp(argv[1], argv + 1);
  std::perror(argv[1]);
  return 71;
}
