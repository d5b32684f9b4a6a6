#!/bin/sh
# redis-cli -c follows MOVED, redis-cli --cluster finds nothing wrong, redis-benchmark --cluster sends to all nodes.
set -eu
command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null || { echo "redis-tools is not installed"; exit 77; }
port="$1"
redirecting=$((port + 200))
for i in $(seq 30); do
  [ "$(redis-cli -c -p $redirecting set "k$i" "v$i")" = OK ]
  [ "$(redis-cli -c -p $redirecting get "k$i")" = "v$i" ]
  [ "$(redis-cli -p $port get "k$i")" = "v$i" ]
done
moved=0
for i in $(seq 30); do
  case "$(redis-cli -p $redirecting get "k$i")" in MOVED*) moved=$((moved + 1)) ;; esac
done
[ "$moved" -gt 5 ] && [ "$moved" -lt 30 ]
redis-cli --cluster check 127.0.0.1:$redirecting | grep -q 'All 16384 slots covered'
redis-cli -p $port cluster info | grep -q 'cluster_state:ok'
redis-benchmark --cluster -p $redirecting -t set,get -n 20000 -P 4 -r 1000 --csv | tail -2 | grep -c '"[1-9]' | grep -q 2
[ "$(redis-cli -p $port info cluster | tr -d '\r' | sed -n 's/^cluster_enabled://p')" = 1 ]
