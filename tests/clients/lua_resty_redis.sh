#!/bin/sh
# lua-resty-redis in nginx: lua_resty_redis.sh PORT starts an nginx whose requests count in us, with connections that are kept,
# a script, a pipeline, a transaction and a subscription; each checks what it gets.
set -u
port="$1"
module=/usr/lib/nginx/modules/ngx_http_lua_module.so
[ -x /usr/sbin/nginx ] && [ -f "$module" ] && [ -f /usr/share/lua/5.1/nginx/redis.lua ] || { echo "nginx, its lua module or lua-nginx-redis is not installed"; exit 77; }
folder="$(mktemp -d)"
trap 'kill "$(cat "$folder/pid")" 2>/dev/null; rm -rf "$folder"' EXIT
cat > "$folder/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module $module;
daemon on;
worker_processes 2;
pid $folder/pid;
error_log $folder/error.log warn;
events {}
http {
  access_log off;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  lua_package_path "/usr/share/lua/5.1/?.lua;;";
  init_by_lua_block {
    function connected()
      local red = require("nginx.redis"):new()
      red:set_timeout(10000)
      assert(red:connect("127.0.0.1", $port))
      return red
    end
  }
  server {
    listen unix:$folder/socket;
    location /count {
      content_by_lua_block {
        local red = connected()
        local number = assert(red:incr("visits"))
        assert(red:set_keepalive(10000, 20))
        ngx.say(number)
      }
    }
    location /all {
      content_by_lua_block {
        local red = connected()
        local text = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n"
        assert(red:eval(text, 1, "limit", 60) == 1)
        assert(red:evalsha(assert(red:script("load", text)), 1, "limit", 60) == 2)
        assert(red:ttl("limit") > 50)
        assert(red:get("nothing") == ngx.null)
        red:init_pipeline()
        red:set("a", "1")
        red:incrby("a", 41)
        red:lpush("a", "x")
        red:mget("a", "nothing")
        local replies = assert(red:commit_pipeline())
        assert(replies[1] == "OK" and replies[2] == 42 and replies[3][1] == false and replies[4][1] == "42" and replies[4][2] == ngx.null)
        assert(red:select(1) == "OK")
        assert(red:multi() == "OK" and red:set("b", "x") == "QUEUED" and red:get("b") == "QUEUED")
        local done = assert(red:exec())
        assert(done[1] == "OK" and done[2] == "x")
        local listener = connected()
        assert(listener:subscribe("news"))
        assert(red:publish("news", "hello") == 1)
        local message = assert(listener:read_reply())
        assert(message[1] == "message" and message[2] == "news" and message[3] == "hello")
        ngx.say("all")
      }
    }
  }
}
CONF
/usr/sbin/nginx -p "$folder" -c "$folder/nginx.conf" -e "$folder/error.log" || exit 1
python3 - "$folder/socket" "$port" <<'CHECK'
import socket, sys, threading

def get(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(sys.argv[1])
        client.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path)
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert b" 200 " in head, head
    return body.strip()

numbers = []
workers = [threading.Thread(target=lambda: [numbers.append(int(get(b"/count"))) for _ in range(50)]) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert sorted(numbers) == list(range(1, 201)), sorted(numbers)
assert get(b"/all") == b"all"
CHECK
status=$?
[ $status = 0 ] || cat "$folder/error.log"
exit $status
