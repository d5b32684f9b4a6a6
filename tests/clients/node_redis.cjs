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
  const one = createClient({ url: `redis://127.0.0.1:${process.argv[2]}/1`, RESP });
  await one.connect();
  assert.equal(await one.set('a', 'one'), 'OK');
  assert.equal(await client.get('a'), 'b');
  assert.equal(await one.dbSize(), 1);
  assert.deepEqual(await one.multi().move('a', 2).dbSize().exec(), [1, 0]);
  await one.select(2);
  assert.equal(await one.get('a'), 'one');
  await one.close();
  await client.flushAll();
  await client.close();
}
run(2).then(() => run(3)).catch((error) => { console.error(error); process.exit(1); });
