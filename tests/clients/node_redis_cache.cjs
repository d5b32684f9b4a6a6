// node-redis with its cache in the client (clientSideCache): hits are not asked of the server, and what a client of another
// worker changes is read anew.
const assert = require('node:assert');
const { createClient, BasicClientSideCache } = require('redis');

const workerOf = async (client) => /worker_index:(\d+)/.exec(await client.info('server'))[1];

async function run() {
  const open = async (options = {}) => {
    const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}`, RESP: 3, ...options });
    client.on('error', (error) => { throw error; });
    return client.connect();
  };
  const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
  const reader = await open({ clientSideCache: cache });
  let writer = await open();
  while (await workerOf(writer) === await workerOf(reader)) {
    await writer.close();
    writer = await open();
  }
  // Once the server has acknowledged a change, the answer to whatever is asked next comes behind the invalidation.
  const changed = async (change) => { await change; await reader.ping(); };

  await writer.set('k', '1');
  assert.equal(await reader.get('k'), '1');
  assert.equal(await reader.get('k'), '1');
  assert.equal(cache.stats().hitCount, 1);
  for (const [change, value] of [
    [() => writer.set('k', '2'), '2'],
    [() => writer.incr('k'), '3'],
    [() => writer.multi().append('k', '0').exec(), '30'],
    [() => writer.eval("redis.call('set', KEYS[1], 'by a script')", { keys: ['k'] }), 'by a script'],
    [() => writer.rename('k', 'other'), null],
    [() => writer.copy('other', 'k'), 'by a script'],
    [() => writer.flushAll(), null],
    [() => writer.set('k', 'again'), 'again'],
  ]) {
    await changed(change());
    assert.equal(await reader.get('k'), value);
    const hits = cache.stats().hitCount;
    assert.equal(await reader.get('k'), value);
    assert.equal(cache.stats().hitCount, hits + 1);
  }
  assert.match(await writer.info('clients'), /tracking_clients:1\r/);
  await reader.close();
  await writer.close();
}

run().then(() => console.log('ok'), (error) => { console.error(error); process.exit(1); });
