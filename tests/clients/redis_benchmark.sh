#!/bin/sh
# redis-benchmark, plain, pipelined, and with RESP3. It ends with an error when a reply is one.
set -eu
command -v redis-benchmark >/dev/null || { echo "redis-benchmark is not installed"; exit 77; }
for options in "-c 10" "-c 20 -P 16 --threads 2" "-c 10 -P 4 -3"; do
  # shellcheck disable=SC2086
  output="$(redis-benchmark -p "$1" -n 5000 -r 1000 -q $options -t ping,set,get,incr,mset 2>&1)"
  for test in PING_INLINE PING_MBULK SET GET INCR MSET; do
    case "$output" in *"$test"*"requests per second"*) ;; *) echo "no $test in: $output"; exit 1 ;; esac
  done
  case "$output" in *ERR*|*WARNING*) echo "$output"; exit 1 ;; esac
done
