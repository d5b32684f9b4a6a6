// redis-commander, the web page that shows a server's keys: its connection, tree of keys, a key, a changed and a removed
// one, a command, and what INFO tells of the server.
const assert = require('node:assert');
const { spawn } = require('node:child_process');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const Redis = require('ioredis');

const port = Number(process.argv[2]);

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return free;
}

async function main() {
  const redis = new Redis({ port });
  await redis.mset('a', '1', 'user:1', 'x', 'user:2', 'y', 'n', '41');
  await redis.expire('user:2', 1000);
  const program = path.join(path.dirname(require.resolve('redis-commander/package.json')), 'bin', 'redis-commander.js');
  const http = await freePort();
  const commander = spawn(process.execPath, [program, '--redis-host', '127.0.0.1', '--redis-port', port, '--address', '127.0.0.1',
    '--port', http, '--nosave', '--noload'], { cwd: os.tmpdir() });
  let output = '';
  const listens = new Promise((resolve, reject) => {
    const listen = (bytes) => { output += bytes; if (output.includes('using Redis DB')) resolve(); };
    commander.stdout.on('data', listen);
    commander.stderr.on('data', listen);
    commander.on('exit', () => reject(new Error(output)));
  });
  try {
    await listens;
    const url = `http://127.0.0.1:${http}`;
    const get = async (rest) => (await fetch(`${url}/${rest}`)).json();
    const post = (rest, words) => fetch(`${url}/${rest}`, { method: 'POST', body: new URLSearchParams(words) });
    const { connections } = await get('connections');
    assert.equal(connections.length, 1);
    const id = connections[0].conId;
    const { data: tree } = await get(`apiv2/keystree/${id}`);
    assert.deepEqual(tree.map(({ text }) => text).sort(), ['a', 'n', 'user:* (2)']);
    assert.deepEqual(await get(`apiv2/key/${id}/user:1`), { ttl: -1, key: 'user:1', type: 'string', value: 'x' });
    const { ttl } = await get(`apiv2/key/${id}/user:2`);
    assert(ttl > 900 && ttl <= 1000);
    assert.equal(await (await post(`apiv2/key/${id}/user:1`, { stringValue: 'new', keyType: 'string' })).text(), 'OK');
    assert.equal(await redis.get('user:1'), 'new');
    assert.equal((await (await post(`apiv2/exec/${id}`, { cmd: 'INCR n' })).json()).data, 42);
    await post(`apiv2/key/${id}/a?action=delete`, {});
    assert.equal(await redis.exists('a'), 0);
    const { data: [{ info }] } = await get('apiv2/server/info');
    assert(info.some(({ key, value }) => key === 'Redis version' && value.startsWith('7.')));
    assert(info.some(({ key }) => key === 'Used memory human'));
  } finally {
    commander.removeAllListeners('exit');
    commander.kill();
    redis.disconnect();
  }
}
main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
