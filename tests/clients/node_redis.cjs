// node-redis in RESP2 and RESP3: HELLO on connecting, commands, pipelines by one tick, transactions, scanning, errors.
const assert = require('node:assert');
const { createClient } = require('redis');

async function run(RESP) {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}`, name: 'tests', RESP });
  client.on('error', (error) => { throw error; });
  await client.connect();
  assert.equal(await client.ping(), 'PONG');
  assert.equal(await client.clientGetName(), 'tests');
  assert.equal(await client.set('a', 'b', { EX: 100 }), 'OK');
  assert.equal(await client.get('a'), 'b');
  assert.equal(await client.get('none'), null);
  assert.equal(await client.setNX('a', 'c'), 0);
  assert.equal(await client.incrByFloat('f' + RESP, 1.5), '1.5');
  await Promise.all(Array.from({ length: 500 }, (_, i) => client.set(`k:${i}`, String(i))));
  assert.deepEqual(await client.mGet(['k:1', 'none', 'k:2']), ['1', null, '2']);
  assert.deepEqual(await client.multi().set('x', '1').incr('x').get('x').exec(), ['OK', 2, '2']);
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: 'k:*', COUNT: 100 })) for (const key of [keys].flat()) found.add(key);
  assert.equal(found.size, 500);
  assert.equal((await client.configGet('maxclients')).maxclients, '10000');
  assert((await client.info('server')).includes('redis_version:7.2.4'));
  await assert.rejects(client.incr('a'), /not an integer/);
  await client.flushAll();
  await client.close();
}
run(2).then(() => run(3)).catch((error) => { console.error(error); process.exit(1); });
