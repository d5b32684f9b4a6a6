#!/usr/bin/env ruby
# ruby-redis, with the requests of Rails: its cache store, counters that expire, locks.
begin
  require "redis"
rescue LoadError
  puts "ruby-redis is not installed"
  exit 77
end

def check(what, expected, got)
  abort "#{what}: expected #{expected.inspect}, got #{got.inspect}" unless expected == got
end

redis = Redis.new(host: "127.0.0.1", port: ARGV[0].to_i)
check "ping", "PONG", redis.ping
check "lock", true, redis.set("lock", "me", nx: true, px: 30_000)
check "lock taken", false, redis.set("lock", "you", nx: true, px: 30_000)
check "lock's time", true, redis.pttl("lock").between?(1, 30_000)

# A rate limit: count, and let the first of a window set its end.
2.times { |i| redis.multi { |t| t.incr("rate"); t.expire("rate", 60 + i, nx: true) } }
check "rate", "2", redis.get("rate")
check "window", true, redis.ttl("rate").between?(1, 60)

# ActiveSupport::Cache::RedisCacheStore: entries, fetch_multi, delete_matched, increment.
redis.pipelined { |p| 50.times { |i| p.set("views/#{i}", Marshal.dump([i]), px: 60_000) } }
check "fetch_multi", [[3], nil, [4]], redis.mget("views/3", "views/x", "views/4").map { |v| v && Marshal.load(v) }
check "delete_matched", 50, redis.unlink(*redis.scan_each(match: "views/*", count: 10).to_a.uniq)
check "increment", 5, redis.incrby("counter", 5)
check "exists", true, redis.exists?("counter")
check "mapped", { "counter" => "5", "none" => nil }, redis.mapped_mget("counter", "none")
check "watched", ["OK"], redis.watch("counter") { redis.multi { |t| t.set("counter", 6) } }
check "info", "master", redis.info["role"]
begin
  redis.incr("lock")
  abort "text was incremented"
rescue Redis::CommandError => error
  check "error", "ERR value is not an integer or out of range", error.message
end
