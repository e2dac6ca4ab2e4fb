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

# bound NODE: a line for each range of memory bound to that node: its pages by the node where they
# are, and their size in KiB.
bound() {
  grep " bind:$1 " /tmp/numa_maps | while read -r range; do
    echo "$range" | grep -o -E ' N[0-9]+=[0-9]+|kernelpagesize_kB=[0-9]+' | xargs
  done
}

# What the weights lie in: they take 4.9 MiB, and lie as they do in the file, in 1245 pages of 4K.
pages_of() {
  case $1 in
    off) echo "1G=0 2M=0 THP=0 4K=1245" ;;
    thp) echo "1G=0 2M=0 THP=3 4K=0" ;;
    2M) echo "1G=0 2M=3 THP=0 4K=0" ;;
    1G) echo "1G=1 2M=0 THP=0 4K=0" ;;
  esac
}
bytes_of() {
  case $1 in
    off) echo $((1245 * 4096)) ;;
    thp | 2M) echo $((3 << 21)) ;;
    1G) echo $((1 << 30)) ;;
  esac
}

# loaded: the last load in one line.
loaded() { echo "exit $status, $(value got), copies $(value copies), $(object pages), xxh3 $(value xxh3)"; }

# check_on_node LOADER PAGES NODE: all of the weights lie there, as the report has it.
check_on_node() {
  load --loader="$1" --hugepages="$2" --hugepages-policy=require --numa=bind:"$3"
  check "$1, $2, node $3" \
    "exit $status, nodes $(object nodes), remote $(value remote_fraction), $(object pages)" \
    "exit 0, nodes $3=$(bytes_of "$2"), remote 0.0, $(pages_of "$2")"
}

# spread: what the last load put on nodes: their numbers, the sum of bytes, and by how much they differ.
spread() {
  names='' sum=0 most=0 least=
  for share in $(object nodes); do
    bytes=${share#*=}
    names="$names${names:+ }${share%%=*}"
    sum=$((sum + bytes))
    [ "$bytes" -le "$most" ] || most=$bytes
    [ -n "$least" ] && [ "$bytes" -ge "$least" ] || least=$bytes
  done
  echo "$names: $sum, $((most - least)) apart"
}

# check_interleaved LOADER PAGES NODES: the weights lie on the nodes in turn, page by page; a node
# has a page more than another where the turns do not come out even.
check_interleaved() {
  case $2 in
    off) page=4096 ;;
    *) page=$((2 << 20)) ;;
  esac
  load --loader="$1" --hugepages="$2" --hugepages-policy=require --numa=interleave
  check "$1, $2, interleaved" \
    "exit $status, nodes $(spread), $(object pages), $(grep -c '^note' /tmp/notes) notes" \
    "exit 0, nodes $3: $(bytes_of "$2"), $page apart, $(pages_of "$2"), 0 notes"
}

# check_sharded LOADER PAGES NODES: each node has its rows and nothing lies elsewhere. Whose pages are
# how many follows from the rows; together they take a block more for each border. Each has a ring.
check_sharded() {
  rings=0
  [ "$1" != io_uring ] || rings=$(echo "$3" | wc -w)
  load --loader="$1" --hugepages="$2" --hugepages-policy=require --numa=shard
  check "$1, $2, sharded" \
    "exit $status, nodes $(spread | sed 's/:.*//'), remote $(value remote_fraction), xxh3 $(value xxh3), \
$(value io_rings) rings, $(grep -c '^note' /tmp/notes) notes" \
    "exit 0, nodes $3, remote 0.0, xxh3 $expected_xxh3, $rings rings, 0 notes"
}

# check_mirrored LOADER PAGES NODES: all of the weights lie on each of them.
check_mirrored() {
  load --loader="$1" --hugepages="$2" --hugepages-policy=require --numa=mirror
  copies=$(echo "$3" | wc -w)
  check "$1, $2, mirrored" \
    "exit $status, nodes $(spread), remote $(value remote_fraction), xxh3 $(value xxh3), \
$(grep -c '^note' /tmp/notes) notes" \
    "exit 0, nodes $3: $(($(bytes_of "$2") * copies)), 0 apart, remote 0.0, xxh3 $expected_xxh3, 0 notes"
}

# check_resident NUMA PAGES NODES REMOTE: weights left in memory by a process lie there, in the kind of
# pages (a hugetlbfs must be mounted for 2M), for the next one, and verify as they are.
check_resident() {
  llm-run resident load -m /model/model.gguf --hugepages="$2" --numa="$1" >/tmp/stored 2>/tmp/notes
  stored="exit $?, $(grep -o -E "in .* pages, numa [a-z:0-9]+" /tmp/stored)"
  load -m /model/model.gguf --loader=resident --numa="$1"
  check "resident, $2, $1" "$stored; exit $status, nodes $(spread | sed 's/:.*//'), remote \
$(value remote_fraction | cut -c 1-3), xxh3 $(value xxh3), $(grep -c '^note' /tmp/notes) notes" \
    "exit 0, in $([ "$2" = off ] && echo 4K || echo "$2") pages, numa $1; exit 0, nodes $3, remote $4, \
xxh3 $expected_xxh3, 0 notes"
  check "resident, $2, $1, logits" "$(logits -m /model/model.gguf --loader=resident)" "$(logits --numa=off -t 1)"
  llm-run resident drop -m /model/model.gguf >/dev/null
}

# logits OPTIONS...: the hash of the logits of a few tokens.
logits() {
  llm-run eval --tokens "1 20 300 4 5 66 7 8 9" --logits /tmp/logits "$@" >/dev/null 2>/tmp/notes ||
    echo "exit $?: "
  md5sum /tmp/logits | cut -d' ' -f1
}

# check_logits THREADS: the same bits for every policy and these numbers of threads.
check_logits() {
  expected=$(logits --numa=off -t 1)
  for numa in off bind:1 interleave shard mirror; do
    got=$(for threads in $1; do logits --numa=$numa -t $threads; done | sort -u)
    check "logits, $numa" "$got" "$expected"
  done
}

# check_numa_maps PAGES NODE: the same, as the kernel has it; it counts THP in units of 4K. The KV cache
# and work memory are bound to the node, too.
check_numa_maps() {
  hold --hugepages="$1" --hugepages-policy=require --numa=bind:"$2"
  case $1 in
    off) wanted="N$2=1245 kernelpagesize_kB=4" ;;
    thp) wanted="N$2=1536 kernelpagesize_kB=4" ;;
    2M) wanted="N$2=3 kernelpagesize_kB=2048" ;;
    1G) wanted="N$2=1 kernelpagesize_kB=1048576" ;;
  esac
  check "$1, node $2, as numa_maps has it" \
    "$(bound "$2" | grep -x "$wanted" | head -n 1), beside $(bound "$2" | grep -c -v "^N$2=[0-9]* kernel") elsewhere" \
    "$wanted, beside 0 elsewhere"
}

finish() {
  echo "$failed checks failed"
  [ "$failed" -eq 0 ]
}
