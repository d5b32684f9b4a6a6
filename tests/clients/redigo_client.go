// redigo: a pool, typed replies, a pipeline, a transaction, scanning.
package main

import (
	"log"
	"os"

	"github.com/gomodule/redigo/redis"
)

func check(good bool, what string, err error) {
	if !good || err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func main() {
	pool := &redis.Pool{MaxIdle: 3, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", "127.0.0.1:"+os.Args[1]) }}
	defer pool.Close()
	conn := pool.Get()
	defer conn.Close()

	reply, err := redis.String(conn.Do("SET", "key", "value", "EX", 100))
	check(reply == "OK", "SET", err)
	reply, err = redis.String(conn.Do("GET", "key"))
	check(reply == "value", "GET", err)
	_, err = redis.String(conn.Do("GET", "nothing"))
	check(err == redis.ErrNil, "GET of nothing", nil)

	for i := 0; i < 1000; i++ {
		check(true, "Send", conn.Send("SET", "k:"+string(rune('a'+i%26)), i))
	}
	check(true, "Flush", conn.Flush())
	for i := 0; i < 1000; i++ {
		_, err = conn.Receive()
		check(true, "Receive", err)
	}

	check(true, "MULTI", conn.Send("MULTI"))
	check(true, "INCR", conn.Send("INCR", "counter"))
	check(true, "INCR", conn.Send("INCR", "counter"))
	numbers, err := redis.Ints(conn.Do("EXEC"))
	check(len(numbers) == 2 && numbers[1] == 2, "EXEC", err)

	other := pool.Get()
	defer other.Close()
	number, err := redis.Int(other.Do("GET", "counter"))
	check(number == 2, "GET on another connection", err)
	found := map[string]bool{}
	for cursor := 0; ; {
		values, err := redis.Values(conn.Do("SCAN", cursor, "MATCH", "k:*"))
		check(len(values) == 2, "SCAN", err)
		keys, err := redis.Strings(values[1], nil)
		check(true, "SCAN's keys", err)
		for _, key := range keys {
			found[key] = true
		}
		if cursor, _ = redis.Int(values[0], nil); cursor == 0 {
			break
		}
	}
	check(len(found) == 26, "SCAN", nil)
}
