# What scenarios are written with: loads to make, values to read back, and check, which compares two.
# A scenario ends with finish.
failed=0
expected_xxh3=$(cat /expected_xxh3)

# check WHAT GOT WANTED
check() {
  if [ "$2" = "$3" ]; then
    echo "PASS  $1: $2"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n  got     %s\n  wanted  %s\n' "$1" "$2" "$3"
    [ ! -s /tmp/notes ] || sed 's/^/  notes   /' /tmp/notes
  fi
  : >/tmp/notes
}

# load OPTIONS...: every tensor read from the disk (not from the page cache) and hashed. Leaves $status,
# /tmp/report (JSON) and /tmp/notes (what went to stderr).
load() {
  echo 1 >/proc/sys/vm/drop_caches
  rm -f /tmp/report
  llm-run verify --report /tmp/report "$@" >/dev/null 2>/tmp/notes
  status=$?
}

# hold OPTIONS...: weights loaded by a process that lives on. Leaves /tmp/numa_maps as it was then.
hold() {
  rm -f /tmp/report
  llm-run run -p "Once" -n -1 --ignore-eos --report /tmp/report "$@" >/dev/null 2>/tmp/notes &
  for _ in $(seq 300); do # the report comes when the load ends
    [ ! -s /tmp/report ] || break
    sleep 0.1
  done
  cat "/proc/$!/numa_maps" >/tmp/numa_maps
  kill $!
  wait $!
}

# value KEY: one of the report's values. object KEY: all members of one of its objects, in one line.
value() { sed -n "s/^  \"$1\": \"*\([^\",]*\)\"*,*$/\1/p" /tmp/report; }
object() { sed -n "/^  \"$1\": {/,/}/s/^    \"\(.*\)\": \([^,]*\),*$/\1=\2/p" /tmp/report | xargs; }

# bound NODE: pages of memory bound to that node, by the node where they are, and their size in KiB.
bound() { grep " bind:$1 " /tmp/numa_maps | grep -o -E ' N[0-9]+=[0-9]+|kernelpagesize_kB=[0-9]+' | xargs; }

finish() {
  echo "$failed checks failed"
  [ "$failed" -eq 0 ]
}
