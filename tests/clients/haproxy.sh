#!/bin/sh
# haproxy with its documented check of a Redis master; with a second argument that is the password. It is up when haproxy
# sends a client to it.
set -eu
port="$1"
password="${2:-}"
command -v haproxy >/dev/null || { echo "haproxy is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'kill "$haproxy" 2>/dev/null || true; rm -rf "$folder"' EXIT
cat > "$folder/haproxy.cfg" <<END
global
  stats socket $folder/admin level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
backend store
  option tcp-check
${password:+  tcp-check send AUTH\ $password\r\n
  tcp-check expect string +OK}
  tcp-check send PING\r\n
  tcp-check expect string +PONG
  tcp-check send info\ replication\r\n
  tcp-check expect string role:master
  tcp-check send QUIT\r\n
  tcp-check expect string +OK
  server memento 127.0.0.1:$port check inter 200ms fall 1 rise 2
frontend clients
  bind unix@$folder/socket
  default_backend store
END
haproxy -q -f "$folder/haproxy.cfg" & haproxy=$!
state() {
  python3 - "$folder/admin" <<'END'
import socket, sys
with socket.socket(socket.AF_UNIX) as admin:
    admin.connect(sys.argv[1])
    admin.sendall(b"show stat\n")
    text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
for line in text.splitlines():
    fields = line.split(",")
    if fields[:2] == ["store", "memento"]:
        print(fields[17], fields[36])
END
}
for attempt in $(seq 100); do
  seen=$(state 2>/dev/null) || true
  case "$seen" in "UP L7OK") exit 0 ;; "DOWN "*) break ;; esac
  sleep 0.1
done
echo "haproxy says: $seen"
exit 1
