#!/bin/sh
# Keys to a redis-server and back: redis_migrate.sh PORT lets redis-cli --cluster import take all keys to a Redis cluster of one
# node, MIGRATE single ones to a Redis, with their expiry, and that Redis MIGRATE them to us.
set -eu
port="$1"
command -v redis-cli >/dev/null && command -v redis-server >/dev/null || { echo "redis-cli or redis-server is not installed"; exit 77; }
folder="$(mktemp -d)"
trap 'kill $servers 2>/dev/null; wait $servers 2>/dev/null; rm -rf "$folder"' EXIT
servers=""
expect() { [ "$1" = "$2" ] || { echo "expected '$1', got '$2'"; exit 1; }; }
ours() { redis-cli -p "$port" "$@"; }

# A port that is free now, below those that connections get, since a cluster's node has another one 10,000 above it.
free_port() {
  python3 - <<'END'
import random, socket
while True:
    port = random.randrange(12000, 22000)
    try:
        for one in (port, port + 10000):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", one))
        print(port)
        break
    except OSError:
        pass
END
}
start() {
  at="$(free_port)"
  mkdir "$folder/$at"
  redis-server --port "$at" --bind 127.0.0.1 --save "" --dir "$folder/$at" "$@" >"$folder/$at/log" 2>&1 &
  servers="$servers $!"
  until redis-cli -p "$at" ping 2>/dev/null | grep -q PONG; do kill -0 $! 2>/dev/null || { cat "$folder/$at/log"; exit 1; }; done
}

start
redis="$at"
ours set a one ex 1000 >/dev/null
ours set long "$(head -c 100000 /dev/zero | tr '\0' x)" >/dev/null
expect OK "$(ours migrate 127.0.0.1 "$redis" "" 2 5000 keys a long nothing)"
expect "0 2" "$(ours dbsize) $(redis-cli -p "$redis" -n 2 dbsize)"
expect one "$(redis-cli -p "$redis" -n 2 get a)"
left="$(redis-cli -p "$redis" -n 2 ttl a)"
[ "$left" -gt 900 ] && [ "$left" -le 1000 ] || { echo "a lives for $left s"; exit 1; }
expect OK "$(redis-cli -p "$redis" -n 2 migrate 127.0.0.1 "$port" "" 1 5000 keys a long)"
expect "one 100000" "$(ours -n 1 get a) $(ours -n 1 strlen long)"
expect NOKEY "$(ours migrate 127.0.0.1 "$redis" nothing 0 5000)"
redis-cli -p "$redis" config set requirepass secret >/dev/null
case "$(ours -n 1 migrate 127.0.0.1 "$redis" a 0 5000)" in *"replied with error: NOAUTH"*) ;; *) echo "no NOAUTH"; exit 1 ;; esac
expect OK "$(ours -n 1 migrate 127.0.0.1 "$redis" a 0 5000 auth2 default secret)"
expect "0 1" "$(ours -n 1 exists a) $(redis-cli -p "$redis" --no-auth-warning -a secret exists a)"

start --cluster-enabled yes
redis-cli -p "$at" cluster addslotsrange 0 16383 >/dev/null
until redis-cli -p "$at" cluster info | grep -q "cluster_state:ok"; do :; done
for i in $(seq 300); do echo "SET key:$i value:$i"; done | ours >/dev/null
redis-cli --cluster import "127.0.0.1:$at" --cluster-from "127.0.0.1:$port" --cluster-copy >"$folder/copied" 2>&1 || { cat "$folder/copied"; exit 1; }
expect "300 300" "$(ours dbsize) $(redis-cli -p "$at" dbsize)"
redis-cli --cluster import "127.0.0.1:$at" --cluster-from "127.0.0.1:$port" --cluster-replace >"$folder/moved" 2>&1 || { cat "$folder/moved"; exit 1; }
expect "0 300 value:77" "$(ours dbsize) $(redis-cli -p "$at" dbsize) $(redis-cli -p "$at" get key:77)"
