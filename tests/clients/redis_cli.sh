#!/bin/sh
# redis-cli, in the mode of the second argument. Each comparison names what it expected.
set -eu
port="$1"
mode="$2"
command -v redis-cli >/dev/null || { echo "redis-cli is not installed"; exit 77; }
cli() { redis-cli -p "$port" "$@"; }
expect() { [ "$1" = "$2" ] || { echo "expected '$1', got '$2'"; exit 1; }; }
contains() { case "$1" in *"$2"*) ;; *) echo "no '$2' in: $1"; exit 1 ;; esac; }
fill() { for i in 1 2 3 4 5 6 7 8 9; do cli set "key:$i" "$(printf "%0${i}0d" 7)" >/dev/null; done; }

case "$mode" in
  resp2|resp3)
    [ "$mode" = resp3 ] && cli() { redis-cli -3 -p "$port" "$@"; }
    expect PONG "$(cli ping)"
    expect OK "$(cli set greeting "hello world")"
    expect "hello world" "$(cli get greeting)"
    expect "" "$(cli get nothing)"
    expect 11 "$(cli strlen greeting)"
    expect OK "$(cli set short 1 ex 100 nx)"
    contains "100 99" "$(cli ttl short)"  # a second may have passed
    expect "hello world
1" "$(cli mget greeting short)"
    contains "$(cli nosuch 2>&1)" "ERR unknown command 'nosuch'"
    contains "$(cli config get maxclients)" maxclients
    contains "$(cli command docs get)" summary
    expect "OK
QUEUED
QUEUED
2
3" "$(printf 'multi\nincr short\nincr short\nexec\n' | cli)"
    ;;
  eval)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    echo 'return {KEYS[1], ARGV[1], redis.call("INCRBY", KEYS[1], ARGV[1])}' > "$folder/script.lua"
    expect "n
7
7" "$(cli --eval "$folder/script.lua" n , 7)"
    contains "$(cli script debug yes 2>&1)" "has no debugger"
    ;;
  help)
    contains "$(printf 'help set\n' | cli)" "SET"
    contains "$(printf 'help migrate\n' | cli)" "host port key"
    ;;
  refused)
    fill
    contains "$(cli --rdb /dev/null 2>&1 || true)" "memento has no replication"
    contains "$(cli --hotkeys 2>&1 || true)" "maxmemory policy is not selected"
    contains "$(redis-cli --cluster check 127.0.0.1:"$port" 2>&1 || true)" "is not configured as a cluster node"
    ;;
  databases)
    expect OK "$(cli -n 3 set a x)"
    expect "1 0" "$(cli -n 3 dbsize) $(cli dbsize)"
    expect x "$(redis-cli -u "redis://127.0.0.1:$port/3" get a)"
    ;;
  config)
    expect OK "$(cli config set timeout 100)"
    expect "timeout
100" "$(cli config get timeout)"
    contains "$(cli config rewrite 2>&1)" "running without a config file"
    ;;
  pipe_lines)
    contains "$(printf 'AUTH secret\r\nSET k1 v1\r\nSET k2 v2\r\n' | cli --pipe)" "errors: 0, replies: 3"
    expect v2 "$(cli --no-auth-warning -a secret get k2)"
    ;;
  scan)
    fill
    expect 9 "$(cli --scan --pattern 'key:*' | sort -u | wc -l)"
    ;;
  bigkeys)
    fill
    contains "$(cli --bigkeys)" "Biggest string found '\"key:9\"' has 90 bytes"
    ;;
  memkeys)
    fill
    contains "$(cli --memkeys)" "Biggest string found '\"key:9\"' has"
    ;;
  stat)
    fill
    contains "$(stdbuf -oL timeout 1 redis-cli -p "$port" --stat -i 0.1 || true)" "9     "
    ;;
  pipe)
    contains "$(for i in $(seq 1000); do printf '*3\r\n$3\r\nSET\r\n$%d\r\np:%d\r\n$1\r\nx\r\n' $((2 + ${#i})) "$i"; done | cli --pipe)" \
      "errors: 0, replies: 1000"
    expect 1000 "$(cli dbsize)"
    ;;
  info)
    fill
    contains "$(cli role | tr '\n' ' ')" "master 0"
    expect 0 "$(cli wait 1 10)"
    contains "$(cli memory doctor)" "memory"
    contains "$(cli info keyspace)" "db0:keys=9"
    expect OK "$(cli replicaof no one)"
    ;;
  shutdown)
    cli set city Turin >/dev/null
    cli shutdown nosave
    tries=0
    while cli ping >/dev/null 2>&1; do
      tries=$((tries + 1))
      [ "$tries" -lt 1000 ] || { echo "the server still answers"; exit 1; }
    done
    ;;
  latency)
    samples="$(cli --latency --raw -i 0.3 | awk '{ print $4 }')"
    [ "$samples" -gt 0 ] || { echo "no samples"; exit 1; }
    ;;
esac
