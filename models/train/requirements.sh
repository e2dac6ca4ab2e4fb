#!/bin/sh
# Install what training needs on Debian: NumPy, PyTorch, and the regex module.
# Does nothing when everything is there.  Running llm-run itself needs none of it.
set -eu

packages="python3 python3-numpy python3-torch python3-regex libopenblas0-pthread"
missing=""
for p in $packages; do
    if ! dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed'; then
        missing="$missing $p"
    fi
done
if [ -z "$missing" ]; then
    echo "training requirements: all present"
    exit 0
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi
$as_root apt-get update
# shellcheck disable=SC2086
$as_root apt-get install -y --no-install-recommends $missing
