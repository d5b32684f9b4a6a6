<?php
// PHP's sessions kept by us, with locking: several processes that count up in one session at the same time lose nothing,
// in database 1; a session that nobody gives back ends. php_sessions.php PORT, or PORT ID: one of those processes.
$port = $argv[1];
if (!extension_loaded('redis')) {
    echo "php-redis is not installed\n";
    exit(77);
}
$settings = [
    'session.save_handler' => 'redis',
    'session.save_path' => "tcp://127.0.0.1:$port?database=1&prefix=php:",
    'session.use_cookies' => '0',
    'session.use_only_cookies' => '0',
    'session.cache_limiter' => '',
    'session.gc_maxlifetime' => '500',
    'redis.session.locking_enabled' => '1',
    'redis.session.lock_expire' => '30',
    'redis.session.lock_wait_time' => '2000',
    'redis.session.lock_retries' => '10000',
];
foreach ($settings as $name => $value) {
    ini_set($name, $value);
}

function check(bool $holds, string $what): void
{
    if (!$holds) {
        fwrite(STDERR, "$what\n");
        exit(1);
    }
}

function count_up(string $id, int $times): void
{
    for ($i = 0; $i < $times; ++$i) {
        session_id($id);
        check(session_start(), 'a session begins');
        $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
        session_write_close();
    }
}

if ($argc > 2 && preg_match('/^[0-9a-z]{20,}$/', $argv[2])) {
    count_up($argv[2], 25);
    exit(0);
}

$id = str_repeat('a1', 16);
$processes = [];
for ($i = 0; $i < 4; ++$i) {
    $processes[] = proc_open([PHP_BINARY, __FILE__, $port, $id], [1 => STDERR, 2 => STDERR], $pipes);
}
foreach ($processes as $process) {
    check(proc_close($process) === 0, 'a process counted');
}
session_id($id);
session_start();
check($_SESSION['count'] === 100, "all were counted: {$_SESSION['count']}");
$redis = new Redis();
$redis->connect('127.0.0.1', (int) $port);
$redis->select(1);
check($redis->exists("php:{$id}_LOCK") === 1, 'the session is locked while it is open');
session_write_close();
check($redis->exists("php:{$id}_LOCK") === 0, 'and free when it is closed');
check($redis->ttl("php:$id") > 400 && $redis->ttl("php:$id") <= 500, 'it has a time to live');
session_start();
session_regenerate_id(true);
$next = session_id();
check($next !== $id && $_SESSION['count'] === 100, 'another number, and the same session');
session_write_close();
check($redis->exists("php:$id") === 0 && $redis->exists("php:$next") === 1, 'under the new number only');
session_start();
session_destroy();
check($redis->exists("php:$next") === 0, 'a session that was destroyed is gone');

// The client itself: what an application does beside sessions.
$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_PHP);
$redis->set('thing', ['x' => [1, 2]], ['nx', 'ex' => 100]);
check($redis->get('thing') === ['x' => [1, 2]] && $redis->set('thing', 1, ['nx']) === false, 'a serialized value');
$redis->setOption(Redis::OPT_SERIALIZER, Redis::SERIALIZER_NONE);
check($redis->multi()->incr('n')->incrBy('n', 4)->get('n')->exec() === [1, 5, '5'], 'a transaction');
$pipe = $redis->pipeline();
for ($i = 0; $i < 100; ++$i) {
    $pipe->set("p:$i", $i);
}
check(!in_array(false, $pipe->exec(), true), 'a pipeline');
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = 0;
$cursor = null;
while (($keys = $redis->scan($cursor, 'p:*', 20)) !== false) {
    $found += count($keys);
}
check($found === 100, "all keys are scanned: $found");
check($redis->eval('return redis.call("INCRBY", KEYS[1], ARGV[1])', ['n', 7], 1) === 12, 'a script');
check($redis->evalSha(sha1('return redis.call("INCRBY", KEYS[1], ARGV[1])'), ['n', 1], 1) === 13, 'by its name');
